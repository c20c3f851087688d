//! Each operation against the slow composition: value, and the gradient of every input. Tolerance: 2e-5 of the
//! largest number.

use candle_core::{Device, Result, Tensor, Var};

use super::*;
use crate::model::decoder::GateActivation;

/// Numbers from a fixed sequence, in about [-1, 1], that bfloat16 holds whole.
fn numbers(count: usize, salt: u64) -> Vec<f32> {
    let hash = |i: u64| (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15 ^ salt.wrapping_mul(0x2545_F491_4F6C_DD1D));
    (0..count as u64).map(|i| ((hash(i) >> 56) as f32 / 128.0) - 1.0).collect()
}

fn variable(shape: (usize, usize), salt: u64) -> Var {
    let tensor = Tensor::from_vec(numbers(shape.0 * shape.1, salt), shape, &Device::Cpu);
    Var::from_tensor(&tensor.expect("a tensor")).expect("a variable")
}

fn close(got: &Tensor, want: &Tensor, what: &str) {
    assert_eq!(got.dims(), want.dims(), "{what}");
    let flat = |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("numbers");
    let (got, want) = (flat(got), flat(want));
    let largest = want.iter().fold(0f32, |a, b| a.max(b.abs()));
    assert!(largest > 0.0, "{what}: nothing but zeros to compare with");
    let worst = got.iter().zip(&want).fold(0f32, |a, (g, w)| a.max((g - w).abs()));
    assert!(worst <= 2e-5 * largest.max(1.0), "{what}: off by {worst}, largest {largest}");
}

/// Compares both ways of computing something of `inputs`, and their gradients for one random gradient of the result.
fn agree(what: &str, inputs: &[&Var], fast: impl Fn(&Tape) -> Result<Tensor>, slow: impl Fn() -> Result<Tensor>) {
    let tape = Tape::from(inputs.iter().map(|input| input.as_tensor()));
    let (got, want) = (fast(&tape).expect("fast"), slow().expect("slow"));
    close(&got, &want, what);
    let gradient = Tensor::from_vec(numbers(got.elem_count(), 99), got.dims(), &Device::Cpu).expect("gradient");
    let mut of_fast = tape.backward(&got, &gradient).expect("backward");
    let of_slow = plain::backward(&want, &gradient).expect("backward");
    for (number, input) in inputs.iter().enumerate() {
        let got = of_fast.take(input).expect("a gradient");
        let got = got.unwrap_or_else(|| panic!("{what}: input {number} got no gradient"));
        close(&got, of_slow.get(input).expect("oracle's gradient"), &format!("{what}, gradient {number}"));
    }
}

#[test]
fn linear_maps_with_and_without_adapter() {
    let (x, w, bias) = (variable((7, 300), 1), variable((530, 300), 2), variable((1, 530), 3));
    let (a, b) = (variable((4, 300), 4), variable((530, 4), 5));
    let bias = bias.flatten_all().expect("vector").detach();
    for dtype in [DType::F32, DType::BF16, DType::F16] {
        let w = Weight::from(w.detach().to_dtype(dtype).expect("cast"));
        for bias in [None, Some(&bias)] {
            agree("frozen", &[&x], |tape| linear(Some(tape), &x, &w, bias, None), || plain::linear(&x, &w, bias, None));
            for dropout in [None, Some(Dropout { share: 0.3, seed: 5 })] {
                let lora = Lora { a: a.as_tensor().clone(), b: b.as_tensor().clone(), scale: 0.7, dropout };
                agree(
                    "adapted",
                    &[&x, &a, &b],
                    |tape| linear(Some(tape), &x, &w, bias, Some(&lora)),
                    || plain::linear(&x, &w, bias, Some(&lora)),
                );
            }
        }
    }
}

#[test]
fn bfloat16_products_of_every_size_are_those_of_rounded_numbers() {
    let round = |values: &[f32]| -> Vec<f32> { values.iter().map(|x| half::bf16::from_f32(*x).to_f32()).collect() };
    for (rows, outputs, inputs) in [(1, 1, 1), (1, 300, 64), (6, 48, 32), (7, 50, 70), (13, 97, 65), (25, 513, 31)] {
        let fine = |count, salt| numbers(count, salt).iter().map(|x| x * 1.0123).collect::<Vec<f32>>();
        let (x, g) = (fine(rows * inputs, 1), fine(rows * outputs, 2));
        let w = Tensor::from_vec(numbers(outputs * inputs, 3), (outputs, inputs), &Device::Cpu).expect("a matrix");
        let (narrow, wide) = (Weight::from(w.to_dtype(DType::BF16).expect("cast")), Weight::from(w));
        // Where the CPU has no such instructions, nothing is rounded.
        let (given, back) = if narrow.rounds() { (round(&x), round(&g)) } else { (x.clone(), g.clone()) };
        for par in [faer::Par::Seq, faer::Par::rayon(0)] {
            let (mut got, mut want) = (vec![0.5f32; rows * outputs], vec![0.5f32; rows * outputs]);
            narrow.times(&x, &mut got, par).expect("a product");
            wide.times(&given, &mut want, par).expect("a product");
            let worst = got.iter().zip(&want).fold(0f32, |a, (g, w)| a.max((g - w).abs()));
            assert!(worst < 2e-5 * inputs as f32, "{rows}×{outputs}×{inputs}: off by {worst}");
            // Two rows are the same whatever rows are beside them; a single one has a path of its own.
            if rows > 1 {
                let mut alone = vec![0.5f32; 2 * outputs];
                narrow.times(&x[(rows - 2) * inputs..], &mut alone, par).expect("a product");
                assert!(!narrow.rounds() || alone == got[(rows - 2) * outputs..]);
            }
        }
        let (mut got, mut want) = (vec![0f32; rows * inputs], vec![0f32; rows * inputs]);
        narrow.times_back(&g, &mut got, faer::Par::Seq).expect("a product");
        wide.times_back(&back, &mut want, faer::Par::Seq).expect("a product");
        let worst = got.iter().zip(&want).fold(0f32, |a, (g, w)| a.max((g - w).abs()));
        assert!(worst < 2e-5 * outputs as f32, "{rows}×{outputs}×{inputs} back: off by {worst}");
    }
}

#[test]
fn norms_of_rows_and_of_heads() {
    let x = variable((5, 96), 1);
    for width in [96, 24, 8] {
        let weight = variable((1, width), 2).flatten_all().expect("vector").detach();
        agree("norm", &[&x], |tape| rms_norm(Some(tape), &x, &weight, 1e-5), || plain::rms_norm(&x, &weight, 1e-5));
    }
}

#[test]
fn rotary_positions() {
    let x = variable((6, 3 * 10), 1);
    let (cos, sin) = (variable((6, 5), 2).detach(), variable((6, 5), 3).detach());
    agree("rope", &[&x], |tape| rope(Some(tape), &x, &cos, &sin), || plain::rope(&x, &cos, &sin));
}

#[test]
fn gated_units() {
    let (gate, up) = (variable((9, 33), 1), variable((9, 33), 2));
    let wide = Var::from_tensor(&(gate.as_tensor() * 6.0).expect("product")).expect("variable");
    for activation in [GateActivation::Silu, GateActivation::GeluTanh] {
        agree(
            "glu",
            &[&wide, &up],
            |tape| glu(Some(tape), &wide, &up, activation),
            || plain::glu(&wide, &up, activation),
        );
    }
}

#[test]
fn sums_and_what_is_used_more_than_once() {
    let (x, y) = (variable((4, 12), 1), variable((4, 12), 2));
    let weight = variable((1, 12), 3).flatten_all().expect("vector").detach();
    agree(
        "residual",
        &[&x, &y],
        |tape| {
            let both = sum(Some(tape), &x, &y)?;
            let unused = rms_norm(Some(tape), &x, &weight, 1e-5)?;
            assert_eq!(unused.dims(), x.dims());
            sum(Some(tape), &both, &rms_norm(Some(tape), &both, &weight, 1e-5)?)
        },
        || {
            let both = (x.as_tensor() + y.as_tensor())?;
            &both + plain::rms_norm(&both, &weight, 1e-5)?
        },
    );
}

#[test]
fn attention_of_packed_texts_with_windows_and_shared_heads() {
    let spans = [Span { queries: 130, keys: 130 }, Span { queries: 1, keys: 1 }, Span { queries: 5, keys: 70 }];
    for (heads, kv_heads, window) in [(2, 2, None), (4, 2, Some(9)), (4, 1, None), (2, 1, Some(66))] {
        let attend = Attend { heads, kv_heads, head_dim: 6, scale: 0.9, window };
        let (q, k, v) =
            (variable((136, heads * 6), 1), variable((201, kv_heads * 6), 2), variable((201, kv_heads * 6), 3));
        agree(
            &format!("attention {attend:?}"),
            &[&q, &k, &v],
            |tape| attention(Some(tape), &q, &k, &v, &spans, attend),
            || plain::attention(&q, &k, &v, &spans, attend),
        );
    }
}

#[test]
fn loss_of_the_head_over_chunk_borders() {
    let rows = 300;
    let (hidden, head) = (variable((rows, 20), 1), variable((530, 20), 2));
    let targets: Vec<u32> = (0..rows as u32).map(|row| row * 7 % 530).collect();
    let weights: Vec<f32> = numbers(rows, 3).iter().map(|x| if *x < -0.5 { 0.0 } else { x + 0.6 }).collect();
    for cap in [None, Some(1.5)] {
        let (hidden, head) = (hidden.detach(), Weight::from(head.detach()));
        let fast = cross_entropy(&hidden, &head, &targets, &weights, cap, true).expect("a loss");
        let slow = plain::cross_entropy(&hidden, &head, &targets, &weights, cap, true).expect("a loss");
        for (row, (a, b)) in fast.losses.iter().zip(&slow.losses).enumerate() {
            assert!((a - b).abs() < 1e-5, "row {row}: {a} for {b}");
        }
        close(&fast.gradient.expect("asked for"), &slow.gradient.expect("asked for"), "gradient of the head");
    }
}

#[test]
fn contradicting_shapes_are_errors() {
    let x = variable((2, 6), 1);
    let w = variable((4, 5), 2).detach();
    assert!(linear(None, &x, &w.clone().into(), None, None).is_err());
    assert!(rms_norm(None, &x, &w.flatten_all().expect("vector"), 1e-5).is_err());
    assert!(rope(None, &x, &w, &w).is_err());
    let attend = Attend { heads: 1, kv_heads: 1, head_dim: 6, scale: 1.0, window: None };
    assert!(attention(None, &x, &x, &x, &[Span { queries: 3, keys: 3 }], attend).is_err());
    assert!(cross_entropy(&x, &variable((4, 6), 3).detach().into(), &[9, 0], &[1.0, 1.0], None, false).is_err());
}
