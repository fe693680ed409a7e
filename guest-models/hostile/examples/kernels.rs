//! Not hostile: compares the SDK's kernels with plain loops inside of the sandbox, where they are
//! vector instructions, and counts the lengths at which they differ.
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use belljar_guest::kernels;
use belljar_guest::tensors::{Request, Response};
use belljar_guest::{Error, Tensors};

struct Guest;

impl Tensors for Guest {
    fn infer(_request: Request) -> Result<Response, Error> {
        let mut state = 1u64;
        let mut noise = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state >> 33
        };
        let mut wrong = 0u64;
        for length in 0..300usize {
            let a: Vec<f32> = (0..length)
                .map(|_| (noise() % 201) as f32 - 100.0)
                .collect();
            let b: Vec<f32> = (0..length)
                .map(|_| (noise() % 201) as f32 - 100.0)
                .collect();
            // Whole numbers this small have exact sums in any order.
            let plain: f32 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
            wrong += u64::from(kernels::dot_f32(&a, &b) != plain);
            let mut sum = b.clone();
            kernels::axpy_f32(0.5, &a, &mut sum);
            wrong += u64::from(
                sum.iter()
                    .zip(&a)
                    .zip(&b)
                    .any(|((sum, x), y)| *sum != y + 0.5 * x),
            );
            let c: Vec<i8> = (0..length).map(|_| noise() as i8).collect();
            let mut d: Vec<i8> = (0..length).map(|_| noise() as i8).collect();
            let plain = |c: &[i8], d: &[i8]| -> i32 {
                c.iter()
                    .zip(d)
                    .map(|(&x, &y)| i32::from(x) * i32::from(y))
                    .sum()
            };
            wrong += u64::from(kernels::dot_i8(&c, &d) != plain(&c, &d));
            d.iter_mut().for_each(|element| *element &= 0x7f);
            wrong += u64::from(kernels::dot_i8_i7(&c, &d) != plain(&c, &d));
        }
        Ok(hostile::scalar("wrong", wrong))
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: tensors);
