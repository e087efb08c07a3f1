//! Products alone.
use candle_core::quantized::GgmlDType;
use candle_core::{DType, Device, Tensor};
use std::time::Instant;
use tiller::model::linear::{Linear, StoredMatrix, Weight};
use tiller::model::weights::{StoredType, WeightForm};

pub fn copy_rate() -> f64 {
    let a = vec![1u8; 256 << 20];
    let mut b = vec![0u8; 256 << 20];
    let mut best = f64::MAX;
    for _ in 0..4 {
        let t = Instant::now();
        let n = b.len() / 2;
        std::thread::scope(|s| {
            for (x, y) in a.chunks(n).zip(b.chunks_mut(n)) {
                s.spawn(move || y.copy_from_slice(x));
            }
        });
        best = best.min(t.elapsed().as_secs_f64());
    }
    a.len() as f64 / best / 1e9
}

pub fn print() {
    println!("copy {:.1} GB/s", copy_rate());
    let shapes = [(896usize, 896usize), (4864, 896), (896, 4864), (2048, 2048)];
    let forms: Vec<(String, StoredType)> = [StoredType::F32, StoredType::BF16, StoredType::F16]
        .into_iter()
        .chain(
            [GgmlDType::Q8_0, GgmlDType::Q4K, GgmlDType::Q6K, GgmlDType::Q4_0]
                .map(StoredType::Quantized),
        )
        .map(|t| (t.to_string(), t))
        .collect();
    for (n, k) in shapes {
        let bytes: Vec<u8> = (0..n * k)
            .flat_map(|i| (((i * 2654435761) % 1000) as f32 / 1000.0 - 0.5).to_le_bytes())
            .collect();
        let stored = StoredMatrix { stored: StoredType::F32, rows: n, columns: k, bytes: &bytes };
        for (name, t) in &forms {
            if let StoredType::Quantized(d) = t
                && k % d.block_size() != 0
            {
                continue;
            }
            let make = || match t {
                StoredType::F32 => {
                    Weight::from_stored(&stored, WeightForm::F32, &Device::Cpu).unwrap()
                }
                StoredType::BF16 => {
                    Weight::from_stored(&stored, WeightForm::BF16, &Device::Cpu).unwrap()
                }
                StoredType::F16 => {
                    Weight::from_stored(&stored, WeightForm::F16, &Device::Cpu).unwrap()
                }
                StoredType::Quantized(d) => {
                    let q = stored.to_blocks(*d, &Device::Cpu).unwrap();
                    let b = q.data().unwrap().into_owned();
                    Weight::from_stored(
                        &StoredMatrix { stored: *t, bytes: &b, ..stored },
                        WeightForm::Stored,
                        &Device::Cpu,
                    )
                    .unwrap()
                }
            };
            let one = make();
            let wb = one.bytes() as f64;
            let copies = ((192u64 << 20) / one.bytes()).clamp(1, 24) as usize;
            let ws: Vec<Linear> = (0..copies)
                .map(|_| {
                    let l = Linear::new(make());
                    l.prepare().unwrap();
                    l
                })
                .collect();
            print!("{n}x{k} {name:5}");
            for m in [1usize, 4, 16, 32, 128] {
                let x = Tensor::ones((m, k), DType::F32, &Device::Cpu).unwrap();
                let mut best = f64::MAX;
                for _ in 0..3 {
                    let t = Instant::now();
                    let mut c = 0;
                    while c < copies || t.elapsed().as_secs_f64() < 0.03 {
                        ws[c % copies].forward(&x).unwrap();
                        c += 1;
                        if t.elapsed().as_secs_f64() > 0.3 {
                            break;
                        }
                    }
                    best = best.min(t.elapsed().as_secs_f64() / c as f64);
                }
                print!(
                    " | m{m} {:7.3} ms {:5.1} GB/s {:5.0} GF",
                    best * 1e3,
                    wb / best / 1e9,
                    2.0 * (m * n * k) as f64 / best / 1e9
                );
            }
            println!();
            if let StoredType::F32 = t {
                let w: Vec<Tensor> = ws.iter().map(|l| l.weight().to_f32().unwrap()).collect();
                print!("{n}x{k} candl");
                for m in [1usize, 4, 16, 32, 128] {
                    let x = Tensor::ones((m, k), DType::F32, &Device::Cpu).unwrap();
                    let mut best = f64::MAX;
                    for _ in 0..3 {
                        let t = Instant::now();
                        let mut c = 0;
                        while c < copies || t.elapsed().as_secs_f64() < 0.03 {
                            x.matmul(&w[c % copies].t().unwrap()).unwrap();
                            c += 1;
                            if t.elapsed().as_secs_f64() > 0.3 {
                                break;
                            }
                        }
                        best = best.min(t.elapsed().as_secs_f64() / c as f64);
                    }
                    print!(
                        " | m{m} {:7.3} ms {:5.1} GB/s {:5.0} GF",
                        best * 1e3,
                        wb / best / 1e9,
                        2.0 * (m * n * k) as f64 / best / 1e9
                    );
                }
                println!();
            }
        }
    }
}
