//! An order of functions in which each is like those before it.
//!
//! gzip finds only what repeats within its last 32 KiB, and most of a large script repeats somewhere else: code that the compiler
//! made of one generic function for many types. With such functions close to each other, the compressed script is 4 % smaller.

use std::collections::VecDeque;

/// Bytes of a piece. Functions are alike that have pieces in common.
const PIECE: usize = 6;
/// Pieces that more functions have tell nothing of them.
const COMMON: usize = 120;
/// Bytes of the functions that the next one is compared with: gzip's window, less what is written between them.
const WINDOW: usize = 28_000;
/// A function is measured by the share of it that is known, so that long ones have no advantage. Short ones shall not have one
/// either, for which these bytes and this power are.
const LEAST: usize = 20;
const POWER: f64 = 0.8;

/// The functions by their numbers, in a better order.
pub(super) fn alike(functions: &[&[u8]]) -> Vec<usize> {
    let pieces = Pieces::of(functions);
    let mut window = Window::over(functions, &pieces);
    let mut order = Vec::with_capacity(functions.len());
    let mut next = window.first_left();
    while let Some(function) = next {
        order.push(function);
        window.take(function);
        next = window.likest().or_else(|| window.first_left());
    }
    order
}

/// Which functions have what in common.
struct Pieces {
    /// Of each function the numbers of its pieces.
    of: Vec<Vec<usize>>,
    /// Of each piece the functions that have it.
    holders: Vec<Vec<usize>>,
}

impl Pieces {
    fn of(functions: &[&[u8]]) -> Self {
        let mut all: Vec<([u8; PIECE], usize)> = Vec::new();
        for (at, code) in functions.iter().enumerate() {
            all.extend(code.windows(PIECE).filter_map(|piece| Some((piece.try_into().ok()?, at))));
        }
        all.sort_unstable();
        all.dedup();
        let mut pieces = Self { of: vec![Vec::new(); functions.len()], holders: Vec::new() };
        for same in all.chunk_by(|(one, _), (other, _)| one == other).filter(|same| (2..=COMMON).contains(&same.len())) {
            let holders: Vec<usize> = same.iter().map(|(_, function)| *function).collect();
            for holder in &holders {
                if let Some(of) = pieces.of.get_mut(*holder) {
                    of.push(pieces.holders.len());
                }
            }
            pieces.holders.push(holders);
        }
        pieces
    }

    fn of_function(&self, function: usize) -> &[usize] {
        self.of.get(function).map_or(&[], Vec::as_slice)
    }

    fn holders(&self, piece: usize) -> &[usize] {
        self.holders.get(piece).map_or(&[], Vec::as_slice)
    }
}

/// The functions that were placed last, and what the others have in common with them.
struct Window<'f> {
    functions: &'f [&'f [u8]],
    pieces: &'f Pieces,
    placed: VecDeque<usize>,
    bytes: usize,
    /// How often each piece is in the window.
    seen: Vec<u32>,
    /// How many pieces of each function are.
    shared: Vec<u32>,
    /// What each of them is worth; nothing once the function is placed.
    worth: Vec<f64>,
}

impl<'f> Window<'f> {
    fn over(functions: &'f [&'f [u8]], pieces: &'f Pieces) -> Self {
        let worth = functions.iter().map(|code| ((code.len() + LEAST) as f64).powf(-POWER)).collect();
        let (seen, shared) = (vec![0; pieces.holders.len()], vec![0; functions.len()]);
        Self { functions, pieces, placed: VecDeque::new(), bytes: 0, seen, shared, worth }
    }

    /// Places a function behind the others.
    fn take(&mut self, function: usize) {
        if let Some(worth) = self.worth.get_mut(function) {
            *worth = 0.0;
        }
        self.placed.push_back(function);
        self.bytes += self.length(function);
        for piece in self.pieces.of_function(function) {
            if let Some(seen) = self.seen.get_mut(*piece) {
                *seen += 1;
                if *seen == 1 {
                    self.tell(*piece, |shared| shared + 1);
                }
            }
        }
        while self.bytes > WINDOW && self.placed.len() > 1 {
            self.forget();
        }
    }

    /// Leaves out of the window what was placed first.
    fn forget(&mut self) {
        let Some(function) = self.placed.pop_front() else { return };
        self.bytes -= self.length(function);
        for piece in self.pieces.of_function(function) {
            if let Some(seen) = self.seen.get_mut(*piece) {
                *seen -= 1;
                if *seen == 0 {
                    self.tell(*piece, |shared| shared - 1);
                }
            }
        }
    }

    fn tell(&mut self, piece: usize, change: impl Fn(u32) -> u32) {
        for holder in self.pieces.holders(piece) {
            if let Some(shared) = self.shared.get_mut(*holder) {
                *shared = change(*shared);
            }
        }
    }

    /// The function of which the largest part is in the window, if one is like it at all.
    fn likest(&self) -> Option<usize> {
        let mut most = 0.0;
        let mut likest = None;
        for (function, (shared, worth)) in self.shared.iter().zip(&self.worth).enumerate() {
            let likeness = f64::from(*shared) * worth;
            if likeness > most {
                (most, likest) = (likeness, Some(function));
            }
        }
        likest
    }

    fn first_left(&self) -> Option<usize> {
        self.worth.iter().position(|worth| *worth > 0.0)
    }

    fn length(&self, function: usize) -> usize {
        self.functions.get(function).map_or(0, |code| code.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likes_stand_together_and_each_stands_once() {
        let functions: [&[u8]; 6] = [b"one, the first", b"2: second", b"", b"one, the third", b"2: second, too", b"one, the other"];
        assert_eq!(alike(&functions), [0, 3, 5, 1, 4, 2]);
        assert_eq!(alike(&[]), [0; 0]);
    }

    #[test]
    fn what_is_too_far_back_is_forgotten() {
        let far = vec![b'x'; WINDOW + 1];
        let functions: [&[u8]; 4] = [b"abcdefgh", &far, b"abcdefgh", b"xxxxxxxx"];
        let pieces = Pieces::of(&functions);
        let mut window = Window::over(&functions, &pieces);
        window.take(0);
        assert_eq!(window.likest(), Some(2));
        window.take(1);
        assert_eq!(window.likest(), Some(3));
    }
}
