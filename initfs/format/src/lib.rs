//! Not written yet.
#![no_std]
