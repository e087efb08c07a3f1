//! What the memory of this computer gives at the moment of the run: the measure of all the rest.

use crate::timing::best_of;

const BYTES: usize = 256 << 20;

/// Prints the device and the copy rate; returns it in bytes read per second.
pub fn print(label: &str) -> f64 {
    let threads = candle_core::utils::get_num_threads();
    let from = vec![1u8; BYTES];
    let mut to = vec![0u8; BYTES];
    let part = BYTES.div_ceil(threads);
    let seconds = best_of(5, || {
        std::thread::scope(|scope| {
            for (from, to) in from.chunks(part).zip(to.chunks_mut(part)) {
                scope.spawn(move || to.copy_from_slice(from));
            }
        });
    });
    let rate = BYTES as f64 / seconds;
    println!("{label}");
    println!("memory copy: {:.1} GB/s read and as much written, {threads} threads\n", rate / 1e9);
    rate
}
