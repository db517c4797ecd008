//! `file:` — RedoxFS on a partition, with a write-back cache.
//!
//! RedoxFS never writes over what is in use: a transaction writes new blocks, and then a header
//! that leads to them. Here many operations share one transaction ([`tree`]), which is committed
//! when somebody asks for it with `fsync`, when it has become old or large. The order that makes
//! that safe from power cuts (blocks, flush, header, flush) is kept in [`store`], and [`budget`]
//! sees to it that no operation in a shared transaction can run out of space halfway. What was
//! used lately, and what is changed and not yet in the transaction, is in [`cache`]. Long data is copied
//! as rarely as can be: a [`record`] is read from the disk into the buffer that it stays in, and written
//! from there ([`pack`] makes it shorter first, if it can), by [`hands`] that do it meanwhile.

pub mod budget;
pub mod cache;
mod free;
pub mod hands;
pub mod pack;
pub mod record;
pub mod store;
pub mod tree;
