//! Memory that other memory points to, and that the kernel writes.
//!
//! The headers for `recvmmsg` and `sendmmsg` contain pointers to names, control buffers and payloads. A `Vec` is not
//! suitable as the owner of such memory: each access creates a reference to all its elements. Under the aliasing
//! rules of Rust (Stacked Borrows, Tree Borrows), a mutable reference invalidates all pointers that were created
//! before. A [`RawBuffer`] contains only a raw pointer. It creates a reference for one access, and only to the
//! accessed elements. So the pointers from [`RawBuffer::pointer`] stay valid as long as the buffer exists.

#![allow(unsafe_code, reason = "access through a raw pointer; each use has a SAFETY comment")]

use super::control::ControlBuffer;
use std::ops::Range;
use std::ptr::NonNull;

/// A type with these properties: zeros are a valid value, and a value needs no `drop`.
///
/// # Safety
///
/// The type must have both properties.
pub(super) unsafe trait Zeroed: Copy {}

// SAFETY: these types consist of integers and raw pointers.
unsafe impl Zeroed for u8 {}
// SAFETY: as above.
unsafe impl Zeroed for libc::sockaddr_storage {}
// SAFETY: as above.
unsafe impl Zeroed for libc::iovec {}
// SAFETY: as above.
unsafe impl Zeroed for libc::mmsghdr {}
// SAFETY: this type consists of bytes.
unsafe impl Zeroed for ControlBuffer {}

/// A fixed number of values in memory that never moves.
pub(super) struct RawBuffer<T: Zeroed> {
    values: NonNull<T>,
    len: usize,
}

impl<T: Zeroed> RawBuffer<T> {
    /// A buffer of `len` values. All their bytes are zero. The system provides the memory of a large buffer when it
    /// is first used.
    pub(super) fn zeroed(len: usize) -> Self {
        let values = Box::<[T]>::new_zeroed_slice(len);
        // SAFETY: zeros are a valid value of `T`.
        let values = unsafe { values.assume_init() };
        // The pointer comes from the box and not from a reference to its content, so it is valid for all accesses.
        let values = NonNull::new(Box::into_raw(values).cast()).expect("a box is never null");
        Self { values, len }
    }

    /// A pointer to the value number `index`. It is valid for reading and writing as long as the buffer exists and no
    /// reference to the same value is in use.
    pub(super) fn pointer(&self, index: usize) -> *mut T {
        assert!(index < self.len, "index {index} of {} values", self.len);
        // SAFETY: the value number `index` is in the allocation.
        unsafe { self.values.as_ptr().add(index) }
    }

    pub(super) fn get(&self, index: usize) -> &T {
        // SAFETY: the pointer is valid. The kernel writes to the buffer only during a system call. For this call, the
        // owner of the buffer is mutably borrowed, so no reference from this function exists.
        unsafe { &*self.pointer(index) }
    }

    pub(super) fn value_mut(&mut self, index: usize) -> &mut T {
        // SAFETY: the pointer is valid, and `self` is mutably borrowed.
        unsafe { &mut *self.pointer(index) }
    }

    pub(super) fn slice(&self, range: Range<usize>) -> &[T] {
        let (start, len) = self.checked(range);
        // SAFETY: the values are in the allocation. The kernel does not write to them, see `get`.
        unsafe { std::slice::from_raw_parts(start, len) }
    }

    pub(super) fn slice_mut(&mut self, range: Range<usize>) -> &mut [T] {
        let (start, len) = self.checked(range);
        // SAFETY: the values are in the allocation, and `self` is mutably borrowed.
        unsafe { std::slice::from_raw_parts_mut(start, len) }
    }

    /// The pointer to the first value of `range`, and the number of values.
    fn checked(&self, range: Range<usize>) -> (*mut T, usize) {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "range {range:?} of {} values",
            self.len
        );
        // SAFETY: the start is in the allocation, or at its end.
        (unsafe { self.values.as_ptr().add(range.start) }, range.len())
    }
}

impl<T: Zeroed> Drop for RawBuffer<T> {
    fn drop(&mut self) {
        let values = std::ptr::slice_from_raw_parts_mut(self.values.as_ptr(), self.len);
        // SAFETY: `zeroed` created this allocation with a box of the same type and length.
        drop(unsafe { Box::from_raw(values) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointer_stays_valid_when_references_are_used() {
        let mut buffer = RawBuffer::<u8>::zeroed(8);
        let pointer = buffer.pointer(3);
        buffer.slice_mut(0..8).copy_from_slice(b"abcdefgh");
        *buffer.value_mut(3) = b'D';
        // SAFETY: the buffer exists, and no reference to it is in use.
        unsafe {
            assert_eq!(*pointer, b'D');
            *pointer = b'!';
        }
        assert_eq!(*buffer.get(3), b'!');
        assert_eq!(buffer.slice(2..5), b"c!e");
        let buffer = std::hint::black_box(buffer);
        // SAFETY: as above. The memory does not move with its owner.
        assert_eq!(unsafe { *pointer }, b'!');
        assert_eq!(buffer.slice(8..8), b"");
    }

    #[test]
    #[should_panic(expected = "index 4 of 4 values")]
    fn access_after_the_end_panics() {
        RawBuffer::<u8>::zeroed(4).get(4);
    }

    #[test]
    #[should_panic(expected = "range 2..5 of 4 values")]
    fn range_after_the_end_panics() {
        RawBuffer::<u8>::zeroed(4).slice(2..5);
    }
}
