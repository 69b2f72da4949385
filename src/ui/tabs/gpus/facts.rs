//! What there is to say of one GPU in words.
