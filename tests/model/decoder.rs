//! Forward pass, loss, gradients, cache. Tolerances: 1e-4 for numbers, 1e-4 of the norm for gradients.

use dipole::jobs::{CancelToken, Progress, Silent};
use dipole::model::decoder::{Example, Gradients, Pass};
use dipole::model::{Adapter, Decoder, Depth, ModelError, Precision};

use super::expected::{Expected, FAMILIES, TEXTS, assert_close, distance, flat, folder, norm};

const TOLERANCE: f32 = 1e-4;
const CHECKPOINTED: Pass = Pass { checkpoints: true, dropout: 0.0, seed: 0 };

fn gradients(decoder: &Decoder, adapter: &Adapter, examples: &[Example], pass: Pass) -> Gradients {
    let examples: Vec<&Example> = examples.iter().collect();
    decoder.gradients(&examples, adapter, pass, &Silent).unwrap_or_else(|error| panic!("{error}"))
}

fn all_close(got: &Gradients, want: &Gradients, tolerance: f32, what: &str) {
    assert!(
        (got.loss - want.loss).abs() <= f64::from(tolerance) * want.loss.abs(),
        "{what}: {} {}",
        got.loss,
        want.loss
    );
    for (number, (got, want)) in got.matrices.iter().zip(&want.matrices).enumerate() {
        let (got, want) = (flat(got), flat(want));
        assert_close(&got, &want, tolerance * norm(&want).max(1e-3), &format!("{what}: matrix {number}"));
    }
}

#[test]
fn hidden_states_and_logits_are_those_of_transformers() {
    for family in FAMILIES {
        let mut expected = Expected::open(family);
        let decoder = expected.decoder();
        let texts = expected.texts();
        for (number, text) in texts.iter().enumerate() {
            let state = |depth| decoder.hidden(&[text], depth, None, &Silent).expect("hidden states");
            let (middle, last) = (state(Depth::After(1)), state(Depth::Last));
            assert_close(&flat(&middle), &expected.get(&format!("middle.{number}")), TOLERANCE, family);
            assert_close(&flat(&last), &expected.get(&format!("hidden.{number}")), TOLERANCE, family);
            let logits = decoder.logits(&last).expect("logits");
            let want = expected.get(&format!("logits.{number}"));
            assert_close(&flat(&logits), &want, TOLERANCE * 10.0f32.max(norm(&want) / 100.0), family);
        }
    }
}

#[test]
fn texts_of_a_batch_do_not_see_each_other() {
    let mut expected = Expected::open("gemma3");
    let decoder = expected.decoder();
    let texts = expected.texts();
    let all: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let together = flat(&decoder.hidden(&all, Depth::Last, None, &Silent).expect("a batch"));
    let alone: Vec<f32> = (0..TEXTS).flat_map(|number| expected.get(&format!("hidden.{number}"))).collect();
    assert_close(&together, &alone, TOLERANCE, "batch");
}

#[test]
fn the_cache_gives_the_logits_of_the_whole_text() {
    for family in FAMILIES {
        let mut expected = Expected::open(family);
        let decoder = expected.decoder();
        let adapter = expected.adapter(&decoder);
        let text = expected.tokens(0);
        let want = expected.get("tuned.logits.0");
        let vocabulary = decoder.spec().vocabulary;
        let mut cache = decoder.cache();
        let (first, rest) = text.split_at(5);
        let mut got = vec![decoder.step(first, &mut cache, Some(&adapter), &Silent).expect("a prefix")];
        for token in rest {
            got.push(decoder.step(&[*token], &mut cache, Some(&adapter), &Silent).expect("a token"));
        }
        assert_eq!(cache.len(), text.len());
        let tail = &want[(first.len() - 1) * vocabulary..];
        assert_close(&got.concat(), tail, 1e-4 * (1.0 + norm(tail) / 10.0), family);
    }
}

#[test]
fn loss_and_every_gradient_are_those_of_peft() {
    for family in FAMILIES {
        let mut expected = Expected::open(family);
        let decoder = expected.decoder();
        let adapter = expected.adapter(&decoder);
        let examples = expected.examples();
        let got = gradients(&decoder, &adapter, &examples, CHECKPOINTED);
        let want = f64::from(expected.get("loss")[0]);
        assert!((got.loss - want).abs() <= 1e-5 * want, "{family}: loss {} for {want}", got.loss);
        assert_eq!(got.matrices.len(), adapter.variables().count());
        for (matrix, gradient) in adapter.variables().zip(&got.matrices) {
            let name = matrix.name();
            let want = expected.get(&format!("gradient.model.{name}"));
            let gradient = flat(gradient);
            let size = norm(&want);
            assert!(size > 1e-4, "{family} {name}: the expected gradient vanishes");
            let off = distance(&gradient, &want, &name);
            assert!(off <= 1e-4 * size, "{family} {name}: off by {off}, norm {size}");
        }
        let (alone, losses) =
            decoder.losses(&examples.iter().collect::<Vec<_>>(), Some(&adapter), &Silent).expect("loss");
        assert!((alone - got.loss).abs() < 1e-6 * got.loss);
        assert_eq!(losses, got.losses);
    }
}

#[test]
fn one_graph_and_one_graph_a_layer_agree() {
    let mut expected = Expected::open("gemma3");
    let decoder = expected.decoder();
    let adapter = expected.adapter(&decoder);
    let examples = expected.examples();
    for dropout in [0.0, 0.4] {
        let of = |checkpoints, seed| gradients(&decoder, &adapter, &examples, Pass { checkpoints, dropout, seed });
        all_close(&of(false, 3), &of(true, 3), 1e-5, "checkpoints");
        let changed = of(true, 4).loss != of(true, 3).loss;
        assert_eq!(changed, dropout > 0.0, "the seed decides what is dropped");
    }
}

#[test]
fn weights_of_zero_and_two_are_rows_left_out_and_doubled() {
    let mut expected = Expected::open("qwen2");
    let decoder = expected.decoder();
    let adapter = expected.adapter(&decoder);
    let examples = expected.examples();
    let scaled = |factors: [f32; TEXTS]| -> Vec<Example> {
        let scale = |(example, factor): (&Example, f32)| Example {
            weights: example.weights.iter().map(|weight| weight * factor).collect(),
            ..example.clone()
        };
        examples.iter().zip(factors).map(scale).collect()
    };
    let of = |examples: &[Example]| gradients(&decoder, &adapter, examples, CHECKPOINTED);
    let without: Vec<Example> = [0, 2, 3].map(|number| examples[number].clone()).to_vec();
    all_close(&of(&scaled([1.0, 0.0, 1.0, 1.0])), &of(&without), 1e-5, "weight 0");
    let twice: Vec<Example> = [0, 0, 1, 2, 3].map(|number| examples[number].clone()).to_vec();
    all_close(&of(&scaled([2.0, 1.0, 1.0, 1.0])), &of(&twice), 1e-5, "weight 2");
}

#[test]
fn gradients_agree_with_finite_differences() {
    let mut expected = Expected::open("qwen3");
    let decoder = expected.decoder();
    let adapter = expected.adapter(&decoder);
    let examples = expected.examples();
    let got = gradients(&decoder, &adapter, &examples, CHECKPOINTED);
    let loss = || decoder.losses(&examples.iter().collect::<Vec<_>>(), Some(&adapter), &Silent).expect("a loss").0;
    for (matrix, gradient) in adapter.variables().zip(&got.matrices) {
        let (values, gradient) = (flat(matrix.variable), flat(gradient));
        let size = norm(&gradient);
        let h = 1e-3f32;
        let moved = |by: f32| {
            let values: Vec<f32> = values.iter().zip(&gradient).map(|(x, g)| x + by * g / size).collect();
            let dims = matrix.variable.dims().to_vec();
            matrix
                .variable
                .set(&candle_core::Tensor::from_vec(values, dims, decoder.device()).expect("a matrix"))
                .expect("set");
            loss()
        };
        let slope = (moved(h) - moved(-h)) / (2.0 * f64::from(h));
        moved(0.0);
        assert!(
            (slope - f64::from(size)).abs() < 0.01 * f64::from(size) + 1e-2,
            "{}: {slope} for {size}",
            matrix.name()
        );
    }
}

#[test]
fn sixteen_bit_weights_come_close() {
    let mut expected = Expected::open("llama");
    let text = expected.tokens(0);
    let want = expected.get("hidden.0");
    for precision in [Precision::F16, Precision::Bf16] {
        let decoder =
            Decoder::open(&folder("llama"), precision, &candle_core::Device::Cpu, &Silent).expect("a decoder");
        assert_eq!(decoder.weight_bytes() * 2, expected.decoder().weight_bytes());
        let got = flat(&decoder.hidden(&[&text], Depth::Last, None, &Silent).expect("hidden states"));
        let off: Vec<f32> = got.iter().zip(&want).map(|(a, b)| a - b).collect();
        let share = norm(&off) / norm(&want);
        assert!(share > 0.0 && share < 0.05, "{precision:?}: {share}");
    }
}

#[test]
fn wrong_input_is_an_error_and_cancelling_stops() {
    struct Stopped(CancelToken);
    impl Progress for Stopped {
        fn tick(&self, _: &str, _: u64, _: Option<u64>) {}
        fn is_cancelled(&self) -> bool {
            self.0.is_cancelled()
        }
    }
    let decoder = Expected::open("llama").decoder();
    let fails =
        |texts: &[&[u32]], depth| decoder.hidden(texts, depth, None, &Silent).expect_err("an error").to_string();
    assert!(fails(&[&[1, 97]], Depth::Last).contains("token 97"));
    assert!(fails(&[&[1]], Depth::After(3)).contains("layer 3"));
    assert!(fails(&[], Depth::Last).contains("no token"));
    let token = CancelToken::default();
    token.cancel();
    let stopped = decoder.hidden(&[&[1, 2]], Depth::Last, None, &Stopped(token));
    assert!(matches!(stopped, Err(ModelError::Cancelled(_))));
}
