//! The conditional plan of one row: which references it is transported to.

use super::{Points, SideOutcome};

/// The `count` references with the largest shares π(j|i) ∝ b_j v_j K_ij = b_j exp((g_j - C_ij)/ε) of a row's mass, b
/// uniform, largest first. `row` is the unit vector of the custom row. Shares are in [0, 1]; all of them sum to 1.
/// Empty when the vectors are not those of the outcome.
pub fn strongest_partners(row: &[f32], reference: Points<'_>, side: &SideOutcome, count: usize) -> Vec<(u32, f64)> {
    if reference.dim != row.len() || reference.dim == 0 || side.column_potential.len() != reference.rows {
        return Vec::new();
    }
    let exponents: Vec<f64> = reference
        .data
        .chunks_exact(reference.dim)
        .zip(&side.column_potential)
        .map(|(other, potential)| {
            let cosine: f64 = row.iter().zip(other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            (potential - (1.0 - cosine)) / side.epsilon
        })
        .collect();
    let largest = exponents.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = exponents.iter().map(|exponent| (exponent - largest).exp()).sum();
    if !total.is_finite() || total <= 0.0 {
        return Vec::new();
    }
    let mut order: Vec<u32> = (0..exponents.len() as u32).collect();
    let exponent = |at: &u32| exponents.get(*at as usize).copied().unwrap_or(f64::NEG_INFINITY);
    order.sort_by(|a, b| exponent(b).total_cmp(&exponent(a)).then(a.cmp(b)));
    order.iter().take(count).map(|at| (*at, (exponent(at) - largest).exp() / total)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_the_kernel_scaled_by_the_potentials() {
        let data = [1.0, 0.0, 0.0, 1.0, 0.6, 0.8_f32];
        let reference = Points::new(&data, 3, 2).expect("three points");
        let side = SideOutcome {
            epsilon: 0.2,
            median_cost: 0.0,
            row_potential: Vec::new(),
            column_potential: vec![0.1, -0.2, 0.05],
            cost: 0.0,
            marginal_error: 0.0,
        };
        let row = [0.8_f32, 0.6];
        let mass: Vec<f64> = data
            .chunks(2)
            .zip(&side.column_potential)
            .map(|(point, g)| {
                let kernel = (-(1.0 - f64::from(point[0] * row[0] + point[1] * row[1])) / 0.2).exp();
                (g / 0.2_f64).exp() * kernel
            })
            .collect();
        let found = strongest_partners(&row, reference, &side, 3);
        assert_eq!(found.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [2, 0, 1]);
        for (at, share) in &found {
            assert!((share - mass[*at as usize] / mass.iter().sum::<f64>()).abs() < 1e-6);
        }
        assert!((found.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!(strongest_partners(&row, reference, &side, 1).len(), 1);
        assert!(strongest_partners(&row[..1], reference, &side, 3).is_empty());
    }
}
