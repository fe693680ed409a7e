//! Convolutions over two dimensions: of all channels with each other, which are products of
//! matrices, and of each channel by itself.

use belljar_guest::kernels::{TILE_COLUMNS, Tile};

use crate::product::Packed;
use crate::winograd::{Filters, Lines};

/// A convolution.
pub(crate) struct Convolution {
    pub(crate) kind: Kind,
    pub(crate) bias: Option<Vec<f32>>,
    /// That come in, and that go out.
    pub(crate) channels: [usize; 2],
    /// Of the kernel: rows and columns.
    pub(crate) kernel: [usize; 2],
    pub(crate) strides: [usize; 2],
    pub(crate) dilations: [usize; 2],
    pub(crate) padding: Padding,
}

/// Which channels meet.
pub(crate) enum Kind {
    /// All: the weights have a row for each channel that goes out.
    Full(Packed),
    /// All, where steps are of one along a side of the kernel that is neither short nor long.
    Fast(Filters),
    /// Each meets itself: so many weights a channel as the kernel has.
    Depthwise(Vec<f32>),
}

/// The zeros around a picture.
#[derive(Clone, Copy)]
pub(crate) enum Padding {
    /// Above and before, below and behind.
    Fixed([[usize; 2]; 2]),
    /// As many as keep the size, divided by the strides and rounded up. An odd one stands behind,
    /// or before.
    Same { odd_behind: bool },
}

/// What follows from the size of a picture.
struct Frame {
    /// Above and before.
    before: [usize; 2],
    /// With the zeros.
    padded: [usize; 2],
    /// That goes out.
    out: [usize; 2],
}

impl Convolution {
    /// The size that goes out, for one that comes in; none where the kernel is larger than that.
    pub(crate) fn size(&self, input: [usize; 2]) -> Option<[usize; 2]> {
        self.frame(input).map(|frame| frame.out)
    }

    fn frame(&self, input: [usize; 2]) -> Option<Frame> {
        let (mut before, mut padded, mut out) = ([0; 2], [0; 2], [0; 2]);
        for axis in 0..2 {
            let (size, stride) = (input[axis], self.strides[axis]);
            let reach = (self.kernel[axis] - 1)
                .checked_mul(self.dilations[axis])?
                .checked_add(1)?;
            let [first, last] = match self.padding {
                Padding::Fixed([first, last]) => [first[axis], last[axis]],
                Padding::Same { odd_behind } => {
                    let steps = size
                        .div_ceil(stride)
                        .saturating_sub(1)
                        .checked_mul(stride)?;
                    let all = steps.checked_add(reach)?.saturating_sub(size);
                    let (less, more) = (all / 2, all.div_ceil(2));
                    if odd_behind {
                        [less, more]
                    } else {
                        [more, less]
                    }
                }
            };
            before[axis] = first;
            padded[axis] = size.checked_add(first)?.checked_add(last)?;
            out[axis] = padded[axis].checked_sub(reach)? / stride + 1;
        }
        Some(Frame {
            before,
            padded,
            out,
        })
    }

    /// One picture, channel after channel, and row after row in each.
    pub(crate) fn run(&self, input: &[f32], size: [usize; 2], output: &mut [f32]) -> Option<()> {
        let frame = self.frame(size)?;
        if output.is_empty() {
            return Some(());
        }
        let with_zeros;
        let input = if frame.padded == size {
            input
        } else {
            with_zeros = self.pad(input, size, &frame)?;
            &with_zeros[..]
        };
        match &self.kind {
            Kind::Full(weights) => self.run_full(weights, input, &frame, output),
            Kind::Fast(filters) => self.run_fast(filters, input, &frame, output),
            Kind::Depthwise(weights) => self.run_depthwise(weights, input, &frame, output),
        }
        Some(())
    }

    fn bias(&self, channel: usize) -> f32 {
        let bias = self.bias.as_ref().and_then(|bias| bias.get(channel));
        bias.copied().unwrap_or_default()
    }

    fn run_full(&self, weights: &Packed, input: &[f32], frame: &Frame, output: &mut [f32]) {
        let ([rows, columns], [_, stride]) = (frame.padded, self.strides);
        // Where the elements of a column of the product lie in the picture, from its first on.
        let mut steps = Vec::with_capacity(weights.depth());
        for channel in 0..self.channels[0] {
            for y in 0..self.kernel[0] {
                for x in 0..self.kernel[1] {
                    let row = channel * rows + y * self.dilations[0];
                    steps.push(row * columns + x * self.dilations[1]);
                }
            }
        }
        let points = frame.out[0] * frame.out[1];
        let first = |point: usize| {
            let (y, x) = (point / frame.out[1], point % frame.out[1]);
            y * self.strides[0] * columns + x * stride
        };
        let fill = |point: usize, start: usize, panel: &mut [[f32; TILE_COLUMNS]]| {
            let last = points - 1;
            let from: [usize; TILE_COLUMNS] =
                std::array::from_fn(|lane| first((point + lane).min(last)));
            let steps = steps.get(start..).unwrap_or_default();
            // Eight neighbours, as most are.
            if from[TILE_COLUMNS - 1] - from[0] == TILE_COLUMNS - 1 && stride == 1 {
                for (numbers, step) in panel.iter_mut().zip(steps) {
                    let at = from[0] + step;
                    if let Some(found) = input.get(at..).and_then(|rest| rest.first_chunk()) {
                        *numbers = *found;
                    }
                }
            } else {
                for (numbers, step) in panel.iter_mut().zip(steps) {
                    for (number, from) in numbers.iter_mut().zip(from) {
                        *number = input.get(from + step).copied().unwrap_or_default();
                    }
                }
            }
        };
        let store = |row: usize, point: usize, tile: &Tile| {
            let wanted = TILE_COLUMNS.min(points - point);
            for (row, sums) in (row..weights.rows()).zip(tile) {
                let bias = self.bias(row);
                let to = row * points + point;
                let out = output.get_mut(to..to + wanted).unwrap_or_default();
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = sum + bias;
                }
            }
        };
        weights.multiply(points, fill, store);
    }

    fn run_fast(&self, filters: &Filters, input: &[f32], frame: &Frame, output: &mut [f32]) {
        let (axis, other) = (filters.axis, 1 - filters.axis);
        let ([rows, columns], [height, width]) = (frame.padded, frame.out);
        let steps = [columns, 1];
        let places = (0..self.channels[0]).flat_map(|channel| {
            let place =
                move |at| channel * rows * columns + at * self.dilations[other] * steps[other];
            (0..self.kernel[other]).map(place)
        });
        let lines = Lines {
            input,
            offsets: places.collect(),
            along: steps[axis],
            across: self.strides[other] * steps[other],
            length: frame.padded[axis],
            out: [frame.out[other], frame.out[axis]],
        };
        let out = [width, 1];
        filters.run(&lines, |row, line, place, sum| {
            let to = row * height * width + line * out[other] + place * out[axis];
            if let Some(number) = output.get_mut(to) {
                *number = sum + self.bias(row);
            }
        });
    }

    fn run_depthwise(&self, weights: &[f32], input: &[f32], frame: &Frame, output: &mut [f32]) {
        let [rows, columns] = frame.padded;
        let [height, width] = frame.out;
        let planes = input.chunks_exact(rows * columns);
        let kernels = weights.chunks_exact(self.kernel[0] * self.kernel[1]);
        let outputs = output.chunks_exact_mut(height * width);
        for (channel, ((plane, kernel), output)) in planes.zip(kernels).zip(outputs).enumerate() {
            output.fill(self.bias(channel));
            for (y, output) in output.chunks_exact_mut(width).enumerate() {
                for (ky, kernel) in kernel.chunks_exact(self.kernel[1]).enumerate() {
                    let row = (y * self.strides[0] + ky * self.dilations[0]) * columns;
                    for (kx, weight) in kernel.iter().enumerate() {
                        let from = row + kx * self.dilations[1];
                        let input = plane.get(from..).unwrap_or_default();
                        if self.strides[1] == 1 {
                            add_times(output, *weight, input.iter());
                        } else {
                            add_times(output, *weight, input.iter().step_by(self.strides[1]));
                        }
                    }
                }
            }
        }
    }

    /// The picture with zeros around it.
    fn pad(&self, input: &[f32], size: [usize; 2], frame: &Frame) -> Option<Vec<f32>> {
        let ([above, before], padded) = (frame.before, frame.padded);
        let all = self.channels[0]
            .checked_mul(padded[0])?
            .checked_mul(padded[1])?;
        let mut output = vec![0.0; all];
        if size.contains(&0) {
            return Some(output);
        }
        let planes = output.chunks_exact_mut(padded[0] * padded[1]);
        for (plane, input) in planes.zip(input.chunks_exact(size[0] * size[1])) {
            let rows = plane.chunks_exact_mut(padded[1]).skip(above);
            for (row, input) in rows.zip(input.chunks_exact(size[1])) {
                row.get_mut(before..before + size[1])?
                    .copy_from_slice(input);
            }
        }
        Some(output)
    }
}

#[inline(always)]
fn add_times<'a>(sums: &mut [f32], factor: f32, numbers: impl Iterator<Item = &'a f32>) {
    for (sum, number) in sums.iter_mut().zip(numbers) {
        *sum += factor * number;
    }
}
