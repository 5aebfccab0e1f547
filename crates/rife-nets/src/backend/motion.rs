//! [`Backend::motion`] by its definition, for engines that have no kernel of their own for it: what `rife_cpu::motion`
//! explains, in operations on whole planes.
//!
//! A patch of 8 x 8 pixels is four cells of 4 x 4. Each of the four is seen as a picture shifted by half a cell up or
//! down and left or right, whose cells' means are those of this quarter of every patch.

use rife_cpu::motion::{DAMPING, DOUBT, FURTHEST, GREY, LAST_ROUNDS, ROUNDS, STEPS, STRIDE, depth};

use super::{Backend, Factor, Placed};

/// What [`composed`] needs of an engine beside [`Placed`].
pub trait Pixelwise: Placed {
    /// Elementwise quotient of equal shapes.
    fn quotient(&self, a: &Self::Tensor, b: &Self::Tensor) -> Self::Tensor;
    /// Elementwise smaller of equal shapes.
    fn least(&self, a: &Self::Tensor, b: &Self::Tensor) -> Self::Tensor;
    /// Elementwise larger of equal shapes.
    fn most(&self, a: &Self::Tensor, b: &Self::Tensor) -> Self::Tensor;
    /// `x` extended to the right and down to `size`, height and width, by its last column and row.
    fn extended(&self, x: &Self::Tensor, size: [usize; 2]) -> Self::Tensor;
    /// The upper left of `x` of `size`, height and width.
    fn cropped(&self, x: &Self::Tensor, size: [usize; 2]) -> Self::Tensor;
    /// Elementwise the first of a pair where the first of those compared is less than the second, the second of the pair
    /// elsewhere; all of one shape.
    fn where_less(&self, compared: [&Self::Tensor; 2], pair: [&Self::Tensor; 2]) -> Self::Tensor;
}

/// Half a cell, the offsets of a patch's quarters.
const HALF: isize = STRIDE as isize / 2;
/// Down and right.
const QUARTERS: [[isize; 2]; 4] = [[-HALF, -HALF], [-HALF, HALF], [HALF, -HALF], [HALF, HALF]];

/// See [`Backend::motion`].
pub fn composed<B: Pixelwise>(
    b: &B,
    frames: [&B::Tensor; 2],
    timestep: &B::Tensor,
    finest: u32,
) -> B::Tensor {
    let timestep = b.resize(timestep, Factor::Down(1 << finest));
    let [_, height, width] = b.shape(&timestep);
    let grey = |frame| (0..finest).fold(grey(b, frame), |x, _| halved(b, &x));
    let mut pyramid = vec![frames.map(|frame| filled(b, &grey(frame)))];
    for _ in 0..depth(height, width) {
        let larger = pyramid[pyramid.len() - 1].each_ref();
        pyramid.push(larger.map(|x| filled(b, &halved(b, x))));
    }
    let mut found: Option<[B::Tensor; 2]> = None;
    for (above, [first, second]) in pyramid.iter().enumerate().rev() {
        let [forth, back] = match found {
            None => [resting(b, first), resting(b, first)],
            Some(coarser) => coarser.map(|v| doubled(b, &v, first)),
        };
        let rounds = if above > 0 { ROUNDS } else { LAST_ROUNDS };
        let searched = |from, to, begin| median(b, &Search::new(b, from, to).dense(&begin, rounds));
        found = Some([searched(first, second, forth), searched(second, first, back)]);
    }
    let between = between(b, &found.expect("motion has levels"), &filled(b, &timestep));
    b.cropped(&between, [height, width])
}

/// Extended to whole cells.
fn filled<B: Pixelwise>(b: &B, x: &B::Tensor) -> B::Tensor {
    let [_, height, width] = b.shape(x);
    b.extended(x, [height, width].map(|side| side.next_multiple_of(STRIDE)))
}

/// The coarser level's velocities at the size of `like`, in its pixels.
fn doubled<B: Pixelwise>(b: &B, coarser: &B::Tensor, like: &B::Tensor) -> B::Tensor {
    let [_, height, width] = b.shape(like);
    b.cropped(
        &b.affine(&b.resize(coarser, Factor::Up(2)), 2.0, 0.0),
        [height, width],
    )
}

/// One channel of three, by [`GREY`].
pub(crate) fn grey<B: Backend>(b: &B, image: &B::Tensor) -> B::Tensor {
    let [red, green, blue] = [0, 1, 2].map(|i| b.affine(&b.channels(image, i..i + 1), GREY[i], 0.0));
    b.add(&b.add(&red, &green), &blue)
}

fn resting<B: Backend>(b: &B, frame: &B::Tensor) -> B::Tensor {
    let none = b.affine(frame, 0.0, 0.0);
    b.cat(&[&none, &none])
}

/// Both opinions, each taken where the motion passes through what is seen at the timestep.
fn between<B: Backend>(b: &B, [forth, back]: &[B::Tensor; 2], timestep: &B::Tensor) -> B::Tensor {
    let rest = b.affine(timestep, -1.0, 1.0);
    let earlier = b.affine(timestep, -1.0, 0.0);
    let mean = |f: &B::Tensor, g: &B::Tensor| b.add(&b.scaled(f, &rest), &b.scaled(g, &earlier));
    let guess = mean(forth, back);
    let seen = |field: &B::Tensor, part: &B::Tensor| b.warp(field, &b.scaled(&guess, part));
    let backwards = b.affine(&seen(back, &rest), -1.0, 0.0);
    b.cat(&[&seen(forth, &earlier), &backwards])
}

/// Slopes of a quarter of every patch, and its pixels.
struct Quarter<T> {
    pixels: T,
    along: T,
    down: T,
    offset: [isize; 2],
}

/// A frame whose patches are sought in another.
struct Search<'a, B: Backend> {
    b: &'a B,
    from: &'a B::Tensor,
    to: &'a B::Tensor,
    quarters: [Quarter<B::Tensor>; 4],
}

impl<'a, B: Pixelwise> Search<'a, B> {
    fn new(b: &'a B, from: &'a B::Tensor, to: &'a B::Tensor) -> Self {
        let at = |down, right| b.neighbour(from, down, right);
        let quarters = QUARTERS.map(|offset @ [down, right]| Quarter {
            pixels: at(down, right),
            along: b.affine(&minus(b, &at(down, right + 1), &at(down, right - 1)), 0.5, 0.0),
            down: b.affine(&minus(b, &at(down + 1, right), &at(down - 1, right)), 0.5, 0.0),
            offset,
        });
        Self {
            b,
            from,
            to,
            quarters,
        }
    }

    /// Every pixel's mean of what the patches over it found, beginning with its velocities.
    fn dense(&self, begin: &B::Tensor, rounds: usize) -> B::Tensor {
        let b = self.b;
        let mut best = self.found(cells(b, begin));
        for _ in 0..rounds {
            best = self.spread(best);
        }
        let wide = spread_out(b, &best.0);
        let parts = QUARTERS.map(|[down, right]| {
            let velocity = b.neighbour(&wide, down, right);
            let off = minus(b, &b.warp(self.to, &velocity), self.from);
            let apart = b.most(&off, &b.affine(&off, -1.0, 0.0));
            let apart = b.least(&b.most(&apart, &b.plane(&off, DOUBT)), &b.plane(&off, 1.0));
            let weight = b.quotient(&b.plane(&off, 1.0), &apart);
            [b.scaled(&velocity, &weight), weight]
        });
        let sum = |i: usize| sum(b, parts.each_ref().map(|part| part[i].clone()));
        let (weighted, total) = (sum(0), sum(1));
        b.quotient(&weighted, &b.cat(&[&total, &total]))
    }

    /// The best of the places that every patch comes by on its steps, and its cost.
    fn found(&self, begin: B::Tensor) -> (B::Tensor, B::Tensor) {
        let inverse = self.inverse();
        let mut velocity = begin;
        let mut best: Option<(B::Tensor, B::Tensor)> = None;
        for left in (0..=STEPS).rev() {
            let off = self.differences(&velocity);
            best = Some(self.better(best, (velocity.clone(), self.cost(&off))));
            if left > 0 {
                velocity = self.b.add(&velocity, &self.step(&inverse, &off));
            }
        }
        best.expect("a place")
    }

    /// The best of what every patch and its neighbours have.
    fn spread(&self, found: (B::Tensor, B::Tensor)) -> (B::Tensor, B::Tensor) {
        let had = found.0.clone();
        let around = [[-1, 0], [1, 0], [0, -1], [0, 1]];
        around.into_iter().fold(found, |best, [down, right]| {
            let offer = self.b.neighbour(&had, down, right);
            let cost = self.cost(&self.differences(&offer));
            self.better(Some(best), (offer, cost))
        })
    }

    fn better(
        &self,
        best: Option<(B::Tensor, B::Tensor)>,
        (velocity, cost): (B::Tensor, B::Tensor),
    ) -> (B::Tensor, B::Tensor) {
        let Some((old, least)) = best else {
            return (velocity, cost);
        };
        let b = self.b;
        let part = |i: usize| {
            let [new, old] = [&velocity, &old].map(|v| b.channels(v, i..i + 1));
            b.where_less([&cost, &least], [&new, &old])
        };
        (b.cat(&[&part(0), &part(1)]), b.least(&cost, &least))
    }

    /// The differences of every quarter of the patches after they moved.
    fn differences(&self, velocity: &B::Tensor) -> [B::Tensor; 4] {
        let b = self.b;
        let wide = spread_out(b, velocity);
        let [x, y] = [0, 1].map(|i| b.channels(&wide, i..i + 1));
        self.quarters.each_ref().map(|quarter| {
            let [down, right] = quarter.offset.map(|offset| offset as f32);
            let flow = b.cat(&[&b.affine(&x, 1.0, right), &b.affine(&y, 1.0, down)]);
            minus(b, &b.warp(self.to, &flow), &quarter.pixels)
        })
    }

    /// Mean products over patches less the products of their means.
    fn products(&self, x: [&B::Tensor; 4], y: [&B::Tensor; 4]) -> B::Tensor {
        let b = self.b;
        let both = self.mean([0, 1, 2, 3].map(|i| b.scaled(x[i], y[i])));
        let [x, y] = [x, y].map(|of| self.mean(of.map(|x| x.clone())));
        minus(b, &both, &b.scaled(&x, &y))
    }

    /// Means over patches.
    fn mean(&self, quarters: [B::Tensor; 4]) -> B::Tensor {
        self.b
            .affine(&sum(self.b, quarters.map(|x| cells(self.b, &x))), 0.25, 0.0)
    }

    fn cost(&self, off: &[B::Tensor; 4]) -> B::Tensor {
        self.products(off.each_ref(), off.each_ref())
    }

    fn along(&self) -> [&B::Tensor; 4] {
        self.quarters.each_ref().map(|quarter| &quarter.along)
    }

    fn down(&self) -> [&B::Tensor; 4] {
        self.quarters.each_ref().map(|quarter| &quarter.down)
    }

    /// The inverse of the matrix of the slopes' products, damped.
    fn inverse(&self) -> [B::Tensor; 3] {
        let b = self.b;
        let (along, down) = (self.along(), self.down());
        let damped = |x: B::Tensor| b.affine(&x, 1.0, DAMPING);
        let (xx, xy) = (damped(self.products(along, along)), self.products(along, down));
        let yy = damped(self.products(down, down));
        let whole = minus(b, &b.scaled(&xx, &yy), &b.scaled(&xy, &xy));
        [xx, xy, yy].map(|x| b.quotient(&x, &whole))
    }

    fn step(&self, [xx, xy, yy]: &[B::Tensor; 3], off: &[B::Tensor; 4]) -> B::Tensor {
        let b = self.b;
        let off = off.each_ref();
        let (by_x, by_y) = (self.products(off, self.along()), self.products(off, self.down()));
        let part = |p: &B::Tensor, q: &B::Tensor, r: &B::Tensor, s: &B::Tensor| {
            let step = minus(b, &b.scaled(p, q), &b.scaled(r, s));
            b.most(
                &b.least(&step, &b.plane(&step, FURTHEST)),
                &b.plane(&step, -FURTHEST),
            )
        };
        b.cat(&[&part(xy, &by_y, yy, &by_x), &part(xy, &by_x, xx, &by_y)])
    }
}

fn minus<B: Backend>(b: &B, x: &B::Tensor, y: &B::Tensor) -> B::Tensor {
    b.add(x, &b.affine(y, -1.0, 0.0))
}

fn sum<B: Backend>(b: &B, [p, q, r, s]: [B::Tensor; 4]) -> B::Tensor {
    b.add(&b.add(&p, &q), &b.add(&r, &s))
}

fn halved<B: Backend>(b: &B, x: &B::Tensor) -> B::Tensor {
    b.resize(x, Factor::Down(2))
}

/// Means of cells.
fn cells<B: Backend>(b: &B, x: &B::Tensor) -> B::Tensor {
    halved(b, &halved(b, x))
}

/// Two planes whose values fill a cell each.
fn spread_out<B: Backend>(b: &B, x: &B::Tensor) -> B::Tensor {
    let twice = |x: &B::Tensor| {
        let [first, second] = [0, 1].map(|i| b.channels(x, i..i + 1));
        let four = |x| [x; 4];
        let [[p, q, r, s], [t, u, v, w]] = [four(&first), four(&second)];
        b.pixel_shuffle(&b.cat(&[p, q, r, s, t, u, v, w]))
    };
    twice(&twice(x))
}

/// Medians over 3 x 3 pixels: columns sorted first, then the largest of the smallest, the median of the middle ones
/// and the smallest of the largest have the median among them.
fn median<B: Pixelwise>(b: &B, x: &B::Tensor) -> B::Tensor {
    let three =
        |x: &B::Tensor, down: isize, right: isize| [-1, 0, 1].map(|i| b.neighbour(x, i * down, i * right));
    let [low, middle, high] = sorted(b, three(x, 1, 0));
    let [_, _, low] = sorted(b, three(&low, 0, 1));
    let [_, middle, _] = sorted(b, three(&middle, 0, 1));
    let [high, _, _] = sorted(b, three(&high, 0, 1));
    let [_, median, _] = sorted(b, [low, middle, high]);
    median
}

fn sorted<B: Pixelwise>(b: &B, [p, q, r]: [B::Tensor; 3]) -> [B::Tensor; 3] {
    let (less, more) = (b.least(&p, &q), b.most(&p, &q));
    let middle = b.most(&less, &b.least(&more, &r));
    [b.least(&less, &r), middle, b.most(&more, &r)]
}
