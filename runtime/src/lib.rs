#![no_std]
//! Not written yet.
