//! Choices drawn from bytes, so that a failing run shrinks to a short one.

/// A finite list of choices; past its end every choice is the first, harmless one.
#[derive(Clone, Debug)]
pub struct Tape {
    bytes: Vec<u8>,
    at: usize,
}

impl Tape {
    /// A tape of these bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, at: 0 }
    }

    /// A number below `n` (at most 256); 0 once the tape is used up.
    pub fn below(&mut self, n: usize) -> usize {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        usize::from(byte) % n.max(1)
    }

    /// Yes once in `n` choices, no once the tape is used up.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1 && !self.used_up()
    }

    /// One of these.
    ///
    /// # Panics
    /// If there is none to choose from.
    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        let index = self.below(from.len());
        from.get(index).expect("something to choose from")
    }

    /// Whether every choice from now on is the first one.
    #[must_use]
    pub fn used_up(&self) -> bool {
        self.at >= self.bytes.len()
    }
}
