//! Virtio block devices (Virtual I/O Device 1.2, 5.2).
//!
//! [`device`] makes commands into requests on a virtqueue, over any transport; [`hal`] tells the
//! `virtio-drivers` crate, which keeps the queue, where memory is for the device.

pub mod device;
pub mod hal;
