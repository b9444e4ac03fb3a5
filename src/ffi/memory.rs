//! What a caller's pointers are held to before they are followed, and how structs of other versions
//! of the header are read.

use core::ffi::c_char;
use core::fmt;
use core::mem::{align_of, size_of};
use core::ptr;
use core::slice;

use super::{
    KEYGATE_ERR_ALIGNMENT, KEYGATE_ERR_LENGTH, KEYGATE_ERR_NULL, KEYGATE_ERR_SIZE, keygate_status,
    keygate_str,
};

/// The bytes that must be there of a struct with a size field: up to the first field after it.
pub(super) const LEAST: usize = size_of::<usize>() + size_of::<i32>();

pub(super) type Checked<T> = Result<T, keygate_status>;

/// Whether `len` items can stand at `pointer`: it is aligned, not NULL, and they fit in memory.
#[inline]
pub(super) fn check<T>(pointer: *const T, len: usize) -> Checked<()> {
    if passes_quickly(pointer, len) {
        return Ok(());
    }
    let short = len <= isize::MAX.unsigned_abs() / size_of::<T>();
    let room = usize::MAX.wrapping_sub(len.wrapping_mul(size_of::<T>()));
    // NULL, less one, is the greatest of numbers.
    if short && pointer.is_aligned() && pointer.addr().wrapping_sub(1) < room {
        Ok(())
    } else if pointer.is_null() {
        Err(KEYGATE_ERR_NULL)
    } else if !pointer.is_aligned() {
        Err(KEYGATE_ERR_ALIGNMENT)
    } else {
        Err(KEYGATE_ERR_LENGTH)
    }
}

/// True shows that `check` passes, and that the items lie in the lower half of memory; false shows
/// nothing. Turned by as many bits as alignment clears, an address that is not aligned is a great
/// number, and so is NULL less one.
#[inline]
fn passes_quickly<T>(pointer: *const T, len: usize) -> bool {
    let place = pointer
        .addr()
        .rotate_right(align_of::<T>().trailing_zeros());
    place.wrapping_sub(1) | len <= isize::MAX.unsigned_abs() / size_of::<T>().next_power_of_two()
}

/// The caller's array, which the caller leaves as it is during the call.
///
/// # Safety
///
/// Where `check` passes, `len` items are readable for as long as the result is used.
#[inline]
pub(super) unsafe fn array<'a, T>(pointer: *const T, len: usize) -> Checked<&'a [T]> {
    if !passes_quickly(pointer, len) {
        if len == 0 {
            return Ok(&[]);
        }
        check(pointer, len)?;
    }
    // SAFETY: not NULL, aligned and of a sound length; that it is readable is the caller's word.
    Ok(unsafe {
        // The compiler does not see that what passes quickly is not NULL.
        core::hint::assert_unchecked(!pointer.is_null());
        slice::from_raw_parts(pointer, len)
    })
}

impl keygate_str {
    pub(super) const NONE: Self = Self {
        ptr: ptr::null(),
        len: 0,
    };

    pub(super) const fn of(bytes: &[u8]) -> Self {
        Self {
            ptr: bytes.as_ptr().cast(),
            len: bytes.len(),
        }
    }

    /// # Safety
    ///
    /// As for `array`.
    #[inline]
    pub(super) unsafe fn bytes<'a>(self) -> Checked<&'a [u8]> {
        // SAFETY: passed on to the caller.
        unsafe { array(self.ptr.cast(), self.len) }
    }
}

/// A struct that starts with its size. Numbers and pointers only, so that any bytes make one.
pub(super) trait Versioned: Copy {
    /// A struct in which nothing is set.
    const ZERO: Self;
}

/// Reads a struct of the size that it gives: what it lacks is zero, and what is not known of it
/// must be.
///
/// # Safety
///
/// As many bytes as the struct says are readable at `pointer`.
#[inline]
pub(super) unsafe fn read<T: Versioned>(pointer: *const T) -> Checked<T> {
    check(pointer, 1)?;
    // SAFETY: not NULL and aligned; every struct of a caller's has at least its size.
    let size = unsafe { pointer.cast::<usize>().read() };
    if size == size_of::<T>() {
        // SAFETY: the caller says that it is this long.
        return Ok(unsafe { pointer.read() });
    }
    // SAFETY: passed on to the caller.
    unsafe { read_other(pointer, size) }
}

/// A struct of another version of the header.
///
/// # Safety
///
/// `size` bytes are readable at `pointer`, which is aligned.
#[cold]
#[inline(never)]
pub(super) unsafe fn read_other<T: Versioned>(pointer: *const T, size: usize) -> Checked<T> {
    if size < LEAST || size > isize::MAX.unsigned_abs() {
        return Err(KEYGATE_ERR_SIZE);
    }
    let known = size.min(size_of::<T>());
    let mut value = T::ZERO;
    // SAFETY: both are at least `known` bytes long, and any bytes make a `T`.
    unsafe { ptr::copy_nonoverlapping(pointer.cast::<u8>(), (&raw mut value).cast(), known) };
    // SAFETY: the caller says that it is this long.
    let rest = unsafe { array(pointer.cast::<u8>().wrapping_add(known), size - known)? };
    if rest.iter().any(|byte| *byte != 0) {
        return Err(KEYGATE_ERR_SIZE);
    }
    Ok(value)
}

/// Writes to a caller's struct, of which `known` bytes are known here, all but the size, which is the
/// caller's.
///
/// # Safety
///
/// `known` bytes are writable at `to`, and nothing borrowed from there is used any more.
#[inline]
pub(super) unsafe fn write_known<T: Copy>(from: &T, to: *mut T, known: usize) {
    let size = size_of::<usize>();
    // SAFETY: within both structs.
    unsafe {
        ptr::copy_nonoverlapping(
            ptr::from_ref(from).cast::<u8>().add(size),
            to.cast::<u8>().wrapping_add(size),
            known.saturating_sub(size),
        );
    }
}

/// Whether two ranges share a byte: the first then begins at most its own length before the
/// second, and before the second ends.
#[inline]
pub(super) fn overlap<A, B>(a: *const A, a_len: usize, b: *const B, b_len: usize) -> bool {
    let reach = a_len.saturating_sub(1);
    let distance = a.addr().wrapping_sub(b.addr()).wrapping_add(reach);
    a_len > 0 && b_len > 0 && distance < reach.saturating_add(b_len)
}

/// A caller's buffer that takes what fits and counts the rest.
pub(super) struct Buffer {
    at: *mut u8,
    pub(super) size: usize,
    needed: usize,
}

impl Buffer {
    /// An unusable buffer counts as one without room.
    pub(super) fn new(at: *mut c_char, size: usize) -> Self {
        let at = at.cast::<u8>();
        let size = if check(at, size).is_ok() { size } else { 0 };
        Self {
            at,
            size,
            needed: 0,
        }
    }

    /// Ends the text with NUL where there is room for one, and says how long it is without.
    ///
    /// # Safety
    ///
    /// The caller's buffer is as long as the caller said.
    pub(super) unsafe fn end(self) -> usize {
        if let Some(last) = self.size.checked_sub(1) {
            // SAFETY: within the buffer.
            unsafe { self.at.add(self.needed.min(last)).write(0) };
        }
        self.needed
    }
}

impl fmt::Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.size.saturating_sub(1).saturating_sub(self.needed);
        let fits = text.len().min(room);
        if fits > 0 {
            // SAFETY: `needed + fits` is within the buffer, which overlaps no text of ours.
            unsafe { ptr::copy_nonoverlapping(text.as_ptr(), self.at.add(self.needed), fits) };
        }
        self.needed = self.needed.saturating_add(text.len());
        Ok(())
    }
}
