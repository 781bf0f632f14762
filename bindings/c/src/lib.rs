//! The C interface of maskrcnn.
