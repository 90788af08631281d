//! Wire formats as pure codecs.
