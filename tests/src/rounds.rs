//! Rounds: every contender once in turn, so that a drift of the machine's speed touches all alike; medians are compared.

/// The median of each contender's figures over interleaved rounds.
pub fn medians<const N: usize>(rounds: usize, contenders: [&dyn Fn() -> f64; N]) -> [f64; N] {
    let mut figures: [Vec<f64>; N] = [const { Vec::new() }; N];
    for _ in 0..rounds {
        for (figures, contender) in figures.iter_mut().zip(contenders) {
            figures.push(contender());
        }
    }
    figures.map(median)
}

/// The middle one.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
