//! The C interface: pointers are checked here and turned into the core's types, and nothing is
//! decided. The comments on the items are the C manual; `make header` turns them into
//! `include/keygate.h`.

#![allow(non_camel_case_types)] // the names are C's
#![allow(clippy::missing_safety_doc)] // stated once, at the top of the header
#![allow(clippy::doc_markdown)] // the comments are C's
#![allow(clippy::not_unsafe_ptr_arg_deref)]

use core::ffi::c_char;
use core::fmt;
use core::mem::{align_of, size_of};
use core::ptr;
use core::slice;

use heapless::Vec;
use zeroize::Zeroize;

use crate::config::{Config, ConfigErrorKind, Exempt, Key, Source};
use crate::decision::{Denial, Reason, Verdict};
use crate::header::Header;
use crate::{
    AuthMode, Decision, Evaluation, Explanation, Finding, Language, MAX_EXEMPT, MAX_KEYS,
    MAX_SOURCES, Policy,
};

/// The number of this interface. It changes when a program compiled against an older header would
/// no longer work.
pub const KEYGATE_ABI_VERSION: u32 = 2;

/// The library's result of setting something up: KEYGATE_OK, or a negative KEYGATE_ERR_ number.
pub type keygate_status = i32;
/// How requests are guarded: a KEYGATE_MODE_ number.
pub type keygate_mode = i32;
/// KEYGATE_ALLOW or KEYGATE_DENY, and never anything else.
pub type keygate_verdict = i32;
/// Which rule decided: a KEYGATE_REASON_ number.
pub type keygate_reason = i32;

/// Done.
pub const KEYGATE_OK: i32 = 0;
/// A pointer that must not be NULL is NULL.
pub const KEYGATE_ERR_NULL: i32 = -1;
/// A pointer is not aligned for what it points to.
pub const KEYGATE_ERR_ALIGNMENT: i32 = -2;
/// A size is too small, or a struct is longer than this library knows and its unknown rest is not
/// zero.
pub const KEYGATE_ERR_SIZE: i32 = -3;
/// A length is greater than half the address space, or runs past the end of it.
pub const KEYGATE_ERR_LENGTH: i32 = -4;
/// The mode is none of the KEYGATE_MODE_ numbers, or its name is not known.
pub const KEYGATE_ERR_MODE: i32 = -5;
/// A flag is not known, or contradicts the rest.
pub const KEYGATE_ERR_FLAGS: i32 = -6;
/// The output overlaps the policy.
pub const KEYGATE_ERR_OVERLAP: i32 = -7;
/// api_key and keys are both given.
pub const KEYGATE_ERR_API_KEY_AND_KEYS: i32 = -16;
/// More than 8 keys.
pub const KEYGATE_ERR_TOO_MANY_KEYS: i32 = -17;
/// A key in keys is empty.
pub const KEYGATE_ERR_KEY_EMPTY: i32 = -18;
/// A key is longer than 256 bytes.
pub const KEYGATE_ERR_KEY_TOO_LONG: i32 = -19;
/// A key holds a byte that no header value can carry.
pub const KEYGATE_ERR_KEY_BYTE: i32 = -20;
/// A key starts or ends with a space or a tab.
pub const KEYGATE_ERR_KEY_EDGE: i32 = -21;
/// A label is longer than 32 bytes.
pub const KEYGATE_ERR_LABEL_TOO_LONG: i32 = -22;
/// More than 8 sources.
pub const KEYGATE_ERR_TOO_MANY_SOURCES: i32 = -23;
/// A source's name is longer than 32 bytes.
pub const KEYGATE_ERR_SOURCE_TOO_LONG: i32 = -24;
/// A source's name is empty or not an HTTP token.
pub const KEYGATE_ERR_SOURCE_NOT_TOKEN: i32 = -25;
/// A source's name stands twice.
pub const KEYGATE_ERR_SOURCE_TWICE: i32 = -26;
/// More than 8 exempt paths.
pub const KEYGATE_ERR_TOO_MANY_EXEMPT: i32 = -27;
/// An exempt path is longer than 64 bytes.
pub const KEYGATE_ERR_EXEMPT_TOO_LONG: i32 = -28;
/// An exempt path does not start with '/'.
pub const KEYGATE_ERR_EXEMPT_NO_SLASH: i32 = -29;
/// An exempt path holds '?' or '#'.
pub const KEYGATE_ERR_EXEMPT_NOT_PATH: i32 = -30;
/// A key is a variable that was not expanded: $NAME, ${...}, {{...}}, $env://... or %NAME%.
pub const KEYGATE_ERR_KEY_VARIABLE: i32 = -31;
/// A label holds a byte outside 0x21 to 0x7E.
pub const KEYGATE_ERR_LABEL_BYTE: i32 = -32;
/// An exempt path holds a byte outside 0x21 to 0x7E.
pub const KEYGATE_ERR_EXEMPT_BYTE: i32 = -33;

/// "strict": every request but OPTIONS needs a key, the exempt paths included. A zeroed mode is
/// this one.
pub const KEYGATE_MODE_STRICT: i32 = 0;
/// "off": no request needs a key.
pub const KEYGATE_MODE_OFF: i32 = 1;
/// "all_except_health": every request needs a key but OPTIONS, and GET or HEAD of an exempt path.
pub const KEYGATE_MODE_ALL_EXCEPT_HEALTH: i32 = 2;
/// "auto": all_except_health with KEYGATE_ALLOW_LAN_ACCESS, off without. Never an effective mode.
pub const KEYGATE_MODE_AUTO: i32 = 3;

/// Answer the request with 401.
pub const KEYGATE_DENY: i32 = 0;
/// Let the request pass.
pub const KEYGATE_ALLOW: i32 = 1;

/// Allow: the effective mode is off.
pub const KEYGATE_REASON_AUTH_OFF: i32 = 1;
/// Allow: the method is OPTIONS (a CORS preflight). The request has proved nothing.
pub const KEYGATE_REASON_PREFLIGHT: i32 = 2;
/// Allow: GET or HEAD of an exempt path in all_except_health.
pub const KEYGATE_REASON_HEALTH: i32 = 3;
/// Allow: the credential equals a key.
pub const KEYGATE_REASON_KEY_MATCHED: i32 = 4;
/// Deny: the policy has no key.
pub const KEYGATE_REASON_NO_KEY_CONFIGURED: i32 = 16;
/// Deny: no header of any source is present.
pub const KEYGATE_REASON_CREDENTIAL_MISSING: i32 = 17;
/// Deny: the deciding value is empty, or holds a byte outside SP, HTAB and 0x21 to 0x7E.
pub const KEYGATE_REASON_CREDENTIAL_UNUSABLE: i32 = 18;
/// Deny: the credential equals no key.
pub const KEYGATE_REASON_KEY_MISMATCH: i32 = 19;
/// Deny: an argument of the call was bad, the policy zeroed, wiped or never made, or the
/// evaluation never begun or already finished.
pub const KEYGATE_REASON_INVALID_CALL: i32 = 32;

/// keygate_config.flags: what auto comes to; other modes take no notice of it.
pub const KEYGATE_ALLOW_LAN_ACCESS: u32 = 1;
/// keygate_config.flags: no header is read. source_count must then be 0.
pub const KEYGATE_NO_SOURCES: u32 = 2;
/// keygate_config.flags: no path is exempt. exempt_count must then be 0.
pub const KEYGATE_NO_EXEMPT: u32 = 4;
/// keygate_source.flags: a leading "Bearer " (this case, one space) is not part of the credential.
pub const KEYGATE_SOURCE_BEARER: u32 = 1;
/// keygate_decision.flags: "Bearer " was stripped from the deciding value.
pub const KEYGATE_BEARER_STRIPPED: u32 = 1;

/// Findings, one bit each; keygate_findings says what each one means. auto was resolved.
pub const KEYGATE_FINDING_AUTO_RESOLVED: u32 = 0x1;
/// The policy has no key.
pub const KEYGATE_FINDING_NO_KEY_CONFIGURED: u32 = 0x2;
/// A header that was not consulted holds a right key.
pub const KEYGATE_FINDING_SHADOWED_MATCH: u32 = 0x4;
/// A header that was not consulted holds something else.
pub const KEYGATE_FINDING_SHADOWED_PRESENT: u32 = 0x8;
/// The deciding name occurs again.
pub const KEYGATE_FINDING_DUPLICATE_IGNORED: u32 = 0x10;
/// Bearer without a space.
pub const KEYGATE_FINDING_BEARER_NO_SPACE: u32 = 0x20;
/// Bearer in another case.
pub const KEYGATE_FINDING_BEARER_CASE: u32 = 0x40;
/// More than one space, or a tab, after Bearer.
pub const KEYGATE_FINDING_BEARER_EXTRA_SPACE: u32 = 0x80;
/// Bearer twice.
pub const KEYGATE_FINDING_BEARER_DOUBLED: u32 = 0x100;
/// Bearer in a header that is not stripped of it.
pub const KEYGATE_FINDING_BEARER_IN_KEY_HEADER: u32 = 0x200;
/// Another scheme than Bearer.
pub const KEYGATE_FINDING_OTHER_SCHEME: u32 = 0x400;
/// The credential stands in quotes.
pub const KEYGATE_FINDING_QUOTED: u32 = 0x800;
/// The credential is a placeholder.
pub const KEYGATE_FINDING_PLACEHOLDER: u32 = 0x1000;
/// A key-like header that is not a source.
pub const KEYGATE_FINDING_UNREAD_HEADER: u32 = 0x2000;
/// A key in the query.
pub const KEYGATE_FINDING_KEY_IN_QUERY: u32 = 0x4000;
/// The credential is part of a key, or a key part of it.
pub const KEYGATE_FINDING_TRUNCATED: u32 = 0x8000;
/// An exempt path in strict mode.
pub const KEYGATE_FINDING_HEALTH_IN_STRICT: u32 = 0x10000;
/// Almost an exempt path.
pub const KEYGATE_FINDING_HEALTH_NEAR_MISS: u32 = 0x20000;
/// OPTIONS in another case.
pub const KEYGATE_FINDING_OPTIONS_CASE: u32 = 0x40000;

/// Does not compile where the core has other numbers, or more of them.
macro_rules! agree {
    ($core:expr, $number:ident, $header:expr) => {
        const _: () = {
            assert!($header.len() == $core.len());
            let mut row = $core.len();
            while let Some(previous) = row.checked_sub(1) {
                row = previous;
                assert!($header[row] == $core[row].$number());
            }
        };
    };
}
agree!(
    ConfigErrorKind::ALL,
    code,
    [
        KEYGATE_ERR_API_KEY_AND_KEYS,
        KEYGATE_ERR_TOO_MANY_KEYS,
        KEYGATE_ERR_KEY_EMPTY,
        KEYGATE_ERR_KEY_TOO_LONG,
        KEYGATE_ERR_KEY_BYTE,
        KEYGATE_ERR_KEY_EDGE,
        KEYGATE_ERR_LABEL_TOO_LONG,
        KEYGATE_ERR_TOO_MANY_SOURCES,
        KEYGATE_ERR_SOURCE_TOO_LONG,
        KEYGATE_ERR_SOURCE_NOT_TOKEN,
        KEYGATE_ERR_SOURCE_TWICE,
        KEYGATE_ERR_TOO_MANY_EXEMPT,
        KEYGATE_ERR_EXEMPT_TOO_LONG,
        KEYGATE_ERR_EXEMPT_NO_SLASH,
        KEYGATE_ERR_EXEMPT_NOT_PATH,
        KEYGATE_ERR_KEY_VARIABLE,
        KEYGATE_ERR_LABEL_BYTE,
        KEYGATE_ERR_EXEMPT_BYTE,
    ]
);
agree!(
    Reason::ALL,
    code,
    [
        KEYGATE_REASON_AUTH_OFF,
        KEYGATE_REASON_PREFLIGHT,
        KEYGATE_REASON_HEALTH,
        KEYGATE_REASON_KEY_MATCHED,
        KEYGATE_REASON_NO_KEY_CONFIGURED,
        KEYGATE_REASON_CREDENTIAL_MISSING,
        KEYGATE_REASON_CREDENTIAL_UNUSABLE,
        KEYGATE_REASON_KEY_MISMATCH,
        KEYGATE_REASON_INVALID_CALL,
    ]
);
agree!(
    Finding::ALL,
    bit,
    [
        KEYGATE_FINDING_AUTO_RESOLVED,
        KEYGATE_FINDING_NO_KEY_CONFIGURED,
        KEYGATE_FINDING_SHADOWED_MATCH,
        KEYGATE_FINDING_SHADOWED_PRESENT,
        KEYGATE_FINDING_DUPLICATE_IGNORED,
        KEYGATE_FINDING_BEARER_NO_SPACE,
        KEYGATE_FINDING_BEARER_CASE,
        KEYGATE_FINDING_BEARER_EXTRA_SPACE,
        KEYGATE_FINDING_BEARER_DOUBLED,
        KEYGATE_FINDING_BEARER_IN_KEY_HEADER,
        KEYGATE_FINDING_OTHER_SCHEME,
        KEYGATE_FINDING_QUOTED,
        KEYGATE_FINDING_PLACEHOLDER,
        KEYGATE_FINDING_UNREAD_HEADER,
        KEYGATE_FINDING_KEY_IN_QUERY,
        KEYGATE_FINDING_TRUNCATED,
        KEYGATE_FINDING_HEALTH_IN_STRICT,
        KEYGATE_FINDING_HEALTH_NEAR_MISS,
        KEYGATE_FINDING_OPTIONS_CASE,
    ]
);

/// The size of a keygate_policy in words of 8 bytes.
pub const KEYGATE_POLICY_WORDS: usize = 480;
/// The size of a keygate_evaluation in words of 8 bytes.
pub const KEYGATE_EVALUATION_WORDS: usize = 16;
/// The size of the buffer that keygate_generate_key needs, in bytes with the NUL.
pub const KEYGATE_GENERATED_KEY_SIZE: usize = 36;

/// Bytes that somebody else owns. With len 0, ptr is not looked at. No NUL is needed at the end,
/// and none ends it. The layout is frozen.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct keygate_str {
    /// The first byte.
    pub ptr: *const c_char,
    /// How many bytes.
    pub len: usize,
}

/// A header field as received: the name in any case, the value with or without white space around
/// it. The layout is frozen: four words, the same as phr_header, envoy_http_header and their kin.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct keygate_header {
    /// The field name.
    pub name: keygate_str,
    /// The field value.
    pub value: keygate_str,
}

/// A key that clients may present.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct keygate_key {
    /// 1 to 256 bytes of SP, HTAB and 0x21 to 0x7E, neither starting nor ending with SP or HTAB, and
    /// no variable that was not expanded.
    pub secret: keygate_str,
    /// 0 to 32 bytes of 0x21 to 0x7E that name the key in logs.
    pub label: keygate_str,
}

/// A header that a credential is read from.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct keygate_source {
    /// An HTTP token of 1 to 32 bytes, in any case.
    pub name: keygate_str,
    /// 0 or KEYGATE_SOURCE_BEARER.
    pub flags: u32,
}

/// What a policy is made from. Begin with keygate_config_init, then set what differs. Nothing it
/// points to is needed once keygate_policy_init has returned.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct keygate_config {
    /// The size of this struct in bytes, as the caller's header has it.
    pub size: usize,
    /// A KEYGATE_MODE_ number.
    pub auth_mode: keygate_mode,
    /// KEYGATE_ALLOW_LAN_ACCESS, KEYGATE_NO_SOURCES, KEYGATE_NO_EXEMPT.
    pub flags: u32,
    /// The one key, without a label. Empty: no key, unless keys has some. Without any key, whatever
    /// needs one is denied.
    pub api_key: keygate_str,
    /// Up to 8 keys instead of api_key, so that one can be retired after the next is in use.
    pub keys: *const keygate_key,
    /// How many.
    pub key_count: usize,
    /// Up to 8 sources in order of precedence. None: authorization (Bearer), x-api-key and
    /// x-goog-api-key.
    pub sources: *const keygate_source,
    /// How many.
    pub source_count: usize,
    /// Up to 8 paths of 1 to 64 bytes of 0x21 to 0x7E that start with '/' and hold neither '?' nor
    /// '#'. None: "/healthz".
    pub exempt: *const keygate_str,
    /// How many.
    pub exempt_count: usize,
}

/// A request.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct keygate_request {
    /// The size of this struct in bytes, as the caller's header has it.
    pub size: usize,
    /// The method as on the request line.
    pub method: keygate_str,
    /// The request target as received: neither normalised nor percent-decoded, with its query.
    pub target: keygate_str,
    /// The header fields in the order received.
    pub headers: *const keygate_header,
    /// How many; there is no limit.
    pub header_count: usize,
}

/// What was decided and why. It holds no byte of a key or of a credential.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct keygate_decision {
    /// The size of this struct in bytes, as the caller's header has it. Set by the caller; no more
    /// than this is written.
    pub size: usize,
    /// KEYGATE_ALLOW or KEYGATE_DENY.
    pub verdict: keygate_verdict,
    /// A KEYGATE_REASON_ number.
    pub reason: keygate_reason,
    /// The mode in force, auto being resolved; KEYGATE_MODE_STRICT with
    /// KEYGATE_REASON_INVALID_CALL.
    pub effective_mode: keygate_mode,
    /// The index of the source that the deciding header belongs to, or -1 where no header decided.
    pub source: i32,
    /// The lowest index of a key that matched, or -1.
    pub key: i32,
    /// 0 or KEYGATE_BEARER_STRIPPED.
    pub flags: u32,
    /// The index of the deciding header among those of the request or those pushed, or SIZE_MAX.
    pub header: usize,
}

/// Storage for a policy, anywhere the caller likes: static, on the stack, in a pool. It holds no
/// pointers into itself and may be copied with memcpy; each copy holds the keys and is wiped by
/// itself. A zeroed one denies everything.
#[repr(C)]
pub struct keygate_policy {
    /// Not to be touched.
    pub opaque: [u64; KEYGATE_POLICY_WORDS],
}

/// Storage for a decision under way. A zeroed one denies. It belongs to one thread at a time.
#[repr(C)]
pub struct keygate_evaluation {
    /// Not to be touched.
    pub opaque: [u64; KEYGATE_EVALUATION_WORDS],
}

/// What a keygate_policy holds once it is made.
#[repr(C)]
struct StoredPolicy {
    mark: u64,
    policy: Policy,
}

/// What a keygate_evaluation holds from begin to finish.
#[repr(C)]
struct StoredEvaluation {
    mark: u64,
    policy: *const keygate_policy,
    evaluation: Evaluation<'static>,
}

const POLICY_MARK: u64 = u64::from_le_bytes(*b"keygateP");
const EVALUATION_MARK: u64 = u64::from_le_bytes(*b"keygateE");

const _: () = {
    assert!(size_of::<StoredPolicy>() <= size_of::<keygate_policy>());
    assert!(align_of::<StoredPolicy>() <= align_of::<keygate_policy>());
    assert!(size_of::<StoredEvaluation>() <= size_of::<keygate_evaluation>());
    assert!(align_of::<StoredEvaluation>() <= align_of::<keygate_evaluation>());
};

/// The bytes that must be there of a struct with a size field: up to the first field after it.
const LEAST: usize = size_of::<usize>() + size_of::<i32>();

type Checked<T> = Result<T, keygate_status>;

/// Whether `len` items can stand at `pointer`: it is aligned, not NULL, and they fit in memory.
#[inline]
fn check<T>(pointer: *const T, len: usize) -> Checked<()> {
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

/// The caller's array, which the caller leaves as it is during the call.
///
/// # Safety
///
/// Where `check` passes, `len` items are readable for as long as the result is used.
unsafe fn array<'a, T>(pointer: *const T, len: usize) -> Checked<&'a [T]> {
    if len == 0 {
        return Ok(&[]);
    }
    check(pointer, len)?;
    // SAFETY: not NULL, aligned and of a sound length; that it is readable is the caller's word.
    Ok(unsafe { slice::from_raw_parts(pointer, len) })
}

impl keygate_str {
    const NONE: Self = Self {
        ptr: ptr::null(),
        len: 0,
    };

    /// With a pointer that a slice may have.
    const EMPTY: Self = Self {
        ptr: ptr::dangling(),
        len: 0,
    };

    const fn of(bytes: &[u8]) -> Self {
        Self {
            ptr: bytes.as_ptr().cast(),
            len: bytes.len(),
        }
    }

    /// With length 0, or a pointer and length that `check` passes.
    fn is_sound(&self) -> bool {
        self.len == 0 || check(self.ptr, self.len).is_ok()
    }

    /// # Safety
    ///
    /// As for `array`, and it `is_sound`.
    #[inline]
    unsafe fn sound<'a>(&self) -> &'a [u8] {
        let start = if self.len == 0 {
            ptr::dangling()
        } else {
            self.ptr.cast()
        };
        // SAFETY: not NULL and of a sound length; that it is readable is the caller's word.
        unsafe { slice::from_raw_parts(start, self.len) }
    }

    /// # Safety
    ///
    /// As for `array`.
    #[inline]
    unsafe fn bytes<'a>(self) -> Checked<&'a [u8]> {
        // SAFETY: passed on to the caller.
        unsafe { array(self.ptr.cast(), self.len) }
    }
}

/// True shows that two strings are sound and neither pointer is NULL; false shows nothing. With the
/// sign bit clear, no string is too long, nor can one run past the end of memory, since both begin
/// in its lower half.
#[inline]
fn pass_quickly(a: &keygate_str, b: &keygate_str) -> bool {
    let bits = a.ptr.addr().wrapping_sub(1) | a.len | b.ptr.addr().wrapping_sub(1) | b.len;
    isize::try_from(bits).is_ok()
}

/// A struct that starts with its size. Numbers and pointers only, so that any bytes make one.
trait Versioned: Copy {
    /// A struct in which nothing is set.
    const ZERO: Self;
}

impl Versioned for keygate_config {
    const ZERO: Self = Self {
        size: 0,
        auth_mode: KEYGATE_MODE_STRICT,
        flags: 0,
        api_key: keygate_str::NONE,
        keys: ptr::null(),
        key_count: 0,
        sources: ptr::null(),
        source_count: 0,
        exempt: ptr::null(),
        exempt_count: 0,
    };
}

impl Versioned for keygate_request {
    const ZERO: Self = Self {
        size: 0,
        method: keygate_str::NONE,
        target: keygate_str::NONE,
        headers: ptr::null(),
        header_count: 0,
    };
}

/// Reads a struct of the size that it gives: what it lacks is zero, and what is not known of it
/// must be.
///
/// # Safety
///
/// As many bytes as the struct says are readable at `pointer`.
#[inline]
unsafe fn read<T: Versioned>(pointer: *const T) -> Checked<T> {
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
unsafe fn read_other<T: Versioned>(pointer: *const T, size: usize) -> Checked<T> {
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

/// The policy in a caller's storage, where it was made and not wiped.
///
/// # Safety
///
/// A whole `keygate_policy` is readable at `pointer` and not written to while the result is used.
#[inline]
unsafe fn policy<'a>(pointer: *const keygate_policy) -> Option<&'a Policy> {
    check(pointer, 1).ok()?;
    let stored = pointer.cast::<StoredPolicy>();
    // SAFETY: readable and aligned; any bytes make a number.
    let mark = unsafe { (&raw const (*stored).mark).read() };
    // SAFETY: the mark is there, so `keygate_policy_init` wrote a policy behind it.
    (mark == POLICY_MARK).then(|| unsafe { &(*stored).policy })
}

impl keygate_decision {
    /// What is said where nothing could be decided.
    const DENIAL: Self = Self {
        size: size_of::<Self>(),
        verdict: KEYGATE_DENY,
        reason: KEYGATE_REASON_INVALID_CALL,
        effective_mode: KEYGATE_MODE_STRICT,
        source: -1,
        key: -1,
        flags: 0,
        header: usize::MAX,
    };
}

/// A decision's way out.
struct Output {
    at: *mut keygate_decision,
    /// How many bytes of the caller's struct are known here, its size among them.
    known: usize,
}

impl Output {
    const NONE: Self = Self::whole(ptr::null_mut());

    const fn whole(at: *mut keygate_decision) -> Self {
        let known = size_of::<keygate_decision>();
        Self { at, known }
    }

    /// A struct of any size, set to deny. Nothing where `pointer` is no good, or writing there
    /// would change the policy.
    ///
    /// # Safety
    ///
    /// `pointer` is NULL, or as many bytes as the struct says are writable there.
    unsafe fn new(pointer: *mut keygate_decision, policy: *const keygate_policy) -> Option<Self> {
        if pointer.is_null() {
            return Some(Self::NONE);
        }
        check(pointer, 1).ok()?;
        // SAFETY: not NULL and aligned; every struct of a caller's has at least its size.
        let size = unsafe { (&raw const (*pointer).size).read() };
        let output = Self {
            at: pointer,
            known: size.min(size_of::<keygate_decision>()),
        };
        if size < LEAST || output.overlaps(policy, size_of::<keygate_policy>()) {
            return None;
        }
        // SAFETY: passed on to the caller.
        unsafe { output.write(&keygate_decision::DENIAL) };
        isize::try_from(size).is_ok().then_some(output)
    }

    /// Whether writing changes any of `len` bytes.
    #[inline]
    fn overlaps<T>(&self, at: *const T, len: usize) -> bool {
        !self.at.is_null() && overlap(self.at, self.known, at, len)
    }

    /// Writes all but the size, which is the caller's.
    ///
    /// # Safety
    ///
    /// `known` bytes are writable, and nothing borrowed from what they may overlap is used any
    /// more.
    #[inline]
    unsafe fn write(&self, decision: &keygate_decision) {
        let size = size_of_val(&decision.size);
        if self.at.is_null() {
            return;
        }
        // SAFETY: within both structs.
        unsafe {
            ptr::copy_nonoverlapping(
                ptr::from_ref(decision).cast::<u8>().add(size),
                self.at.cast::<u8>().wrapping_add(size),
                self.known.saturating_sub(size),
            );
        }
    }

    /// # Safety
    ///
    /// As for `write`.
    #[inline]
    unsafe fn set(&self, decision: Option<Decision>) -> keygate_verdict {
        let Some(decision) = decision else {
            return KEYGATE_DENY; // as `new` has written
        };
        let index = |index: Option<usize>| {
            index
                .and_then(|index| i32::try_from(index).ok())
                .unwrap_or(-1)
        };
        let verdict = match decision.verdict() {
            Verdict::Allow => KEYGATE_ALLOW,
            Verdict::Deny => KEYGATE_DENY,
        };
        let out = keygate_decision {
            size: 0,
            verdict,
            reason: decision.reason().code(),
            effective_mode: decision.effective_mode() as keygate_mode,
            source: index(decision.source_index()),
            key: index(decision.key_index()),
            flags: if decision.bearer_stripped() {
                KEYGATE_BEARER_STRIPPED
            } else {
                0
            },
            header: decision.header_index().unwrap_or(usize::MAX),
        };
        // SAFETY: passed on to the caller.
        unsafe { self.write(&out) };
        verdict
    }
}

/// Whether two ranges share a byte: the first then begins at most its own length before the
/// second, and before the second ends.
#[inline]
fn overlap<A, B>(a: *const A, a_len: usize, b: *const B, b_len: usize) -> bool {
    let reach = a_len.saturating_sub(1);
    let distance = a.addr().wrapping_sub(b.addr()).wrapping_add(reach);
    a_len > 0 && b_len > 0 && distance < reach.saturating_add(b_len)
}

fn mode(number: keygate_mode) -> Option<AuthMode> {
    match number {
        KEYGATE_MODE_STRICT => Some(AuthMode::Strict),
        KEYGATE_MODE_OFF => Some(AuthMode::Off),
        KEYGATE_MODE_ALL_EXCEPT_HEALTH => Some(AuthMode::AllExceptHealth),
        KEYGATE_MODE_AUTO => Some(AuthMode::Auto),
        _ => None,
    }
}

/// A header field of which both strings are sound, whose name is not NULL, and whose caller keeps
/// its word.
struct SoundHeader<'a>(&'a keygate_header);

impl<'a> SoundHeader<'a> {
    #[inline]
    fn new(header: &'a keygate_header) -> Option<Self> {
        if pass_quickly(&header.name, &header.value) {
            Some(Self(header))
        } else {
            Self::other(header)
        }
    }

    /// A header without a name is none that matters, whatever its value.
    #[cold]
    #[inline(never)]
    fn other(header: &'a keygate_header) -> Option<Self> {
        const NAMELESS: &keygate_header = &keygate_header {
            name: keygate_str::EMPTY,
            value: keygate_str::EMPTY,
        };
        let is_sound = header.name.is_sound() && header.value.is_sound();
        let header = if header.name.len == 0 {
            NAMELESS
        } else {
            header
        };
        is_sound.then_some(Self(header))
    }
}

impl Header for SoundHeader<'_> {
    #[inline]
    fn name(&self) -> &[u8] {
        let name = self.0.name;
        // SAFETY: the invariant of the type.
        unsafe { slice::from_raw_parts(name.ptr.cast(), name.len) }
    }

    #[inline]
    fn value(&self) -> &[u8] {
        // SAFETY: the invariant of the type.
        unsafe { self.0.value.sound() }
    }
}

/// The header fields of a request, each checked when its turn comes.
#[derive(Clone)]
struct Headers<'a> {
    rest: slice::Iter<'a, keygate_header>,
    /// False once a header was no good. It ends the list.
    sound: bool,
}

impl<'a> Iterator for Headers<'a> {
    type Item = SoundHeader<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let header = SoundHeader::new(self.rest.next()?);
        self.sound = header.is_some();
        header
    }
}

struct Request<'a> {
    method: &'a [u8],
    target: &'a [u8],
    headers: Headers<'a>,
}

impl<'a> Request<'a> {
    /// Nothing where a pointer or a length is bad, or writing to `output` has changed the headers.
    ///
    /// # Safety
    ///
    /// Everything the request points to is readable for as long as the result is used.
    #[inline]
    unsafe fn of(request: &keygate_request, output: &Output) -> Option<Self> {
        // SAFETY: passed on to the caller.
        unsafe {
            let headers: &'a [_] = array(request.headers, request.header_count).ok()?;
            if output.overlaps(headers.as_ptr(), size_of_val(headers)) {
                return None;
            }
            Some(Self {
                method: request.method.bytes().ok()?,
                target: request.target.bytes().ok()?,
                headers: Headers {
                    rest: headers.iter(),
                    sound: true,
                },
            })
        }
    }
}

/// The one way from C into the core.
///
/// # Safety
///
/// As for `policy` and `Request::of`.
#[inline]
unsafe fn decide(
    policy: *const keygate_policy,
    request: &keygate_request,
    output: &Output,
) -> Option<Decision> {
    // SAFETY: passed on to the caller.
    let (policy, mut request) = unsafe { (self::policy(policy)?, Request::of(request, output)?) };
    let mut evaluation = policy.evaluate(request.method, request.target);
    evaluation.push_all(&mut request.headers);
    request.headers.sound.then(|| evaluation.finish())
}

/// Decides with structs of another version of the header, by copies in this one's form.
///
/// # Safety
///
/// As for `keygate_decide`.
#[cold]
#[inline(never)]
unsafe fn decide_other(
    policy: *const keygate_policy,
    request: *const keygate_request,
    out: *mut keygate_decision,
) -> keygate_verdict {
    // SAFETY: passed on to the caller. What is read does not overlap what was written.
    unsafe {
        let Some(output) = Output::new(out, policy) else {
            return KEYGATE_DENY;
        };
        if check(request, 1).is_err() {
            return KEYGATE_DENY;
        }
        let size = (&raw const (*request).size).read();
        if output.overlaps(request, size) {
            return KEYGATE_DENY;
        }
        let Ok(mut copy) = read_other(request, size) else {
            return KEYGATE_DENY;
        };
        let headers_size = copy
            .header_count
            .saturating_mul(size_of::<keygate_header>());
        if output.overlaps(copy.headers, headers_size) {
            return KEYGATE_DENY;
        }
        copy.size = size_of::<keygate_request>();
        let mut decision = keygate_decision::DENIAL;
        let verdict = keygate_decide(policy, &raw const copy, &raw mut decision);
        output.write(&decision);
        verdict
    }
}

/// # Safety
///
/// As for `keygate_decide`.
unsafe fn explain<'a>(
    policy: *const keygate_policy,
    request: *const keygate_request,
) -> Option<Explanation<'a>> {
    // SAFETY: passed on to the caller.
    unsafe {
        let mut decision = keygate_decision::DENIAL;
        keygate_decide(policy, request, &raw mut decision);
        if decision.reason == KEYGATE_REASON_INVALID_CALL {
            return None;
        }
        // Every header that can matter is sound, then; the list ends at the first that is not.
        let request = Request::of(&read(request).ok()?, &Output::NONE)?;
        Some(self::policy(policy)?.explain(request.method, request.target, request.headers))
    }
}

/// The number of the interface that the library has: compare it with KEYGATE_ABI_VERSION. Any
/// thread, any time.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_abi_version() -> u32 {
    KEYGATE_ABI_VERSION
}

/// The version of the library, "1.2.3" for example. Static.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Sets a config to its defaults: strict, no key, the default sources and exempt path.
///
/// config: size bytes of the caller's, normally sizeof(keygate_config). NULL, misaligned or shorter
/// than a size_t: nothing is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_config_init(config: *mut keygate_config, size: usize) {
    if check(config, 1).is_err() || size < size_of::<usize>() || isize::try_from(size).is_err() {
        return;
    }
    // SAFETY: the caller says that it is this long.
    unsafe {
        ptr::write_bytes(config.cast::<u8>(), 0, size);
        (&raw mut (*config).size).write(size);
    }
}

/// Reads a mode's name: "off", "strict", "all_except_health" or "auto", in lower case.
///
/// out: set to KEYGATE_MODE_STRICT first, and to the mode where the name is known.
///
/// Returns KEYGATE_OK; KEYGATE_ERR_MODE for any other name; KEYGATE_ERR_NULL,
/// KEYGATE_ERR_ALIGNMENT or KEYGATE_ERR_LENGTH for a bad argument.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_mode_parse(
    text: keygate_str,
    out: *mut keygate_mode,
) -> keygate_status {
    if let Err(status) = check(out, 1) {
        return status;
    }
    // SAFETY: `out` is aligned and writable; `text` is read before `out` is written again.
    unsafe {
        out.write(KEYGATE_MODE_STRICT);
        let name = match text.bytes() {
            Ok(name) => name,
            Err(status) => return status,
        };
        match AuthMode::from_bytes(name) {
            Some(mode) => out.write(mode as keygate_mode),
            None => return KEYGATE_ERR_MODE,
        }
    }
    KEYGATE_OK
}

/// Makes a policy of a config.
///
/// policy: size bytes of the caller's, normally sizeof(keygate_policy). It is zeroed first, so that
/// it denies everything unless KEYGATE_OK is returned. To reload, make a second policy and swap.
/// config: copied, keys included; nothing of it is needed afterwards. Nothing of it may lie inside
/// policy.
///
/// Returns KEYGATE_OK or what is wrong with the config; keygate_status_text says it in words. A
/// config without any key is not wrong: its policy denies whatever needs one.
///
/// No other thread may use the policy until this has returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_policy_init(
    policy: *mut keygate_policy,
    size: usize,
    config: *const keygate_config,
) -> keygate_status {
    // SAFETY: passed on to the caller.
    match unsafe { policy_init(policy, size, config) } {
        Ok(()) => KEYGATE_OK,
        Err(status) => status,
    }
}

unsafe fn policy_init(
    policy: *mut keygate_policy,
    size: usize,
    config: *const keygate_config,
) -> Checked<()> {
    check(policy, 1)?;
    if size < size_of::<keygate_policy>() {
        // SAFETY: the caller says that it has this many bytes. None of them is a mark then.
        unsafe { ptr::write_bytes(policy.cast::<u8>(), 0, size) };
        return Err(KEYGATE_ERR_SIZE);
    }
    // SAFETY: aligned, and the caller says that it is long enough.
    unsafe { (*policy).opaque.zeroize() };
    // SAFETY: passed on to the caller.
    unsafe { fill(policy, config) }
}

/// Makes a policy in zeroed storage. The mark comes last, so that it denies until it is whole.
///
/// # Safety
///
/// As for `keygate_policy_init`.
unsafe fn fill(policy: *mut keygate_policy, config: *const keygate_config) -> Checked<()> {
    let apart = |at: *const u8, len: usize| {
        let overlaps = overlap(policy, size_of::<keygate_policy>(), at, len);
        if overlaps {
            Err(KEYGATE_ERR_OVERLAP)
        } else {
            Ok(())
        }
    };
    let stored = policy.cast::<StoredPolicy>();
    // SAFETY: passed on to the caller. What is read lies apart from the policy, and each list is
    // checked for its length before it is walked.
    unsafe {
        check(config, 1)?;
        apart(config.cast(), size_of::<usize>())?;
        let whole = (&raw const (*config).size).read();
        apart(config.cast(), whole.min(size_of::<keygate_config>()))?;
        let config = read(config)?;
        let auth_mode = mode(config.auth_mode).ok_or(KEYGATE_ERR_MODE)?;
        let flag = |flag: u32| config.flags & flag != 0;
        if config.flags & !(KEYGATE_ALLOW_LAN_ACCESS | KEYGATE_NO_SOURCES | KEYGATE_NO_EXEMPT) != 0
            || flag(KEYGATE_NO_SOURCES) && config.source_count != 0
            || flag(KEYGATE_NO_EXEMPT) && config.exempt_count != 0
        {
            return Err(KEYGATE_ERR_FLAGS);
        }
        let text = |text: keygate_str| -> Checked<&[u8]> {
            let bytes = text.bytes()?;
            apart(bytes.as_ptr(), bytes.len())?;
            Ok(bytes)
        };
        let api_key = text(config.api_key)?;
        let keys = list::<_, _, MAX_KEYS>(
            config.keys,
            config.key_count,
            ConfigErrorKind::TooManyKeys,
            apart,
            |key: &keygate_key| Ok(Key::new(text(key.secret)?).label(text(key.label)?)),
        )?;
        let sources = list::<_, _, MAX_SOURCES>(
            config.sources,
            config.source_count,
            ConfigErrorKind::TooManySources,
            apart,
            |source: &keygate_source| {
                let name = text(source.name)?;
                match source.flags {
                    0 => Ok(Source::new(name)),
                    KEYGATE_SOURCE_BEARER => Ok(Source::bearer(name)),
                    _ => Err(KEYGATE_ERR_FLAGS),
                }
            },
        )?;
        let exempt = list::<_, _, MAX_EXEMPT>(
            config.exempt,
            config.exempt_count,
            ConfigErrorKind::TooManyExempt,
            apart,
            |path: &keygate_str| Ok(Exempt::new(text(*path)?)),
        )?;
        (&raw mut (*stored).policy).write(Policy::empty());
        (*stored)
            .policy
            .fill(&Config {
                auth_mode,
                allow_lan_access: flag(KEYGATE_ALLOW_LAN_ACCESS),
                api_key: (!api_key.is_empty()).then_some(api_key),
                keys: (!keys.is_empty()).then_some(&keys),
                sources: (!sources.is_empty() || flag(KEYGATE_NO_SOURCES)).then_some(&sources),
                exempt: (!exempt.is_empty() || flag(KEYGATE_NO_EXEMPT)).then_some(&exempt),
            })
            .map_err(|error| error.kind().code())?;
        (&raw mut (*stored).mark).write(POLICY_MARK);
    }
    Ok(())
}

/// A caller's array in the core's types.
///
/// # Safety
///
/// As for `array`.
unsafe fn list<'a, C: 'a, T, const N: usize>(
    items: *const C,
    len: usize,
    too_many: ConfigErrorKind,
    apart: impl Fn(*const u8, usize) -> Checked<()>,
    convert: impl Fn(&'a C) -> Checked<T>,
) -> Checked<Vec<T, N>> {
    if len > N {
        return Err(too_many.code());
    }
    // SAFETY: passed on to the caller.
    let items = unsafe { array(items, len)? };
    apart(items.as_ptr().cast(), size_of_val(items))?;
    let mut list = Vec::new();
    for item in items {
        list.push(convert(item)?).map_err(|_| too_many.code())?;
    }
    Ok(list)
}

/// Wipes a policy, keys and all, so that it denies everything afterwards. NULL is fine, and so is a
/// policy that was never made or is wiped already.
///
/// No other thread may use the policy at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_policy_wipe(policy: *mut keygate_policy) {
    if check(policy, 1).is_ok() {
        // SAFETY: aligned, and the caller says that it is a whole policy. It holds nothing but
        // numbers, so nothing is left undone.
        unsafe { (*policy).opaque.zeroize() };
    }
}

/// How many headers the policy wants. 0 for a bad policy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_policy_source_count(policy: *const keygate_policy) -> usize {
    // SAFETY: passed on to the caller.
    unsafe { self::policy(policy) }.map_or(0, |policy| policy.source_names().len())
}

/// The name of a header that the policy wants, in lower case and order of precedence. A host with a
/// header map may pass only these headers, every occurrence in the order received; the verdict is
/// the same.
///
/// The text lies inside the policy and lives as long. {NULL, 0} for a bad policy or an index
/// beyond the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_policy_source_name(
    policy: *const keygate_policy,
    index: usize,
) -> keygate_str {
    // SAFETY: passed on to the caller.
    let policy = unsafe { self::policy(policy) };
    let name = policy.and_then(|policy| policy.source_name(index));
    name.map_or(keygate_str::NONE, |name| keygate_str::of(name.as_bytes()))
}

/// The label of a key.
///
/// The text lies inside the policy and lives as long. {NULL, 0} for a bad policy, an index beyond
/// the last, or a key without a label.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_policy_key_label(
    policy: *const keygate_policy,
    index: usize,
) -> keygate_str {
    // SAFETY: passed on to the caller.
    let policy = unsafe { self::policy(policy) };
    let label = policy.and_then(|policy| policy.key_label(index));
    label.map_or(keygate_str::NONE, keygate_str::of)
}

/// Whether a header must be dropped before a request is forwarded that was decided so; the header's
/// part on FORWARDING says which are. It is asked with the decision as it came out of the call that
/// decided.
///
/// Returns true for every header after a deny, and for a bad argument.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_policy_drops(
    policy: *const keygate_policy,
    decision: *const keygate_decision,
    name: keygate_str,
    value: keygate_str,
) -> bool {
    // SAFETY: passed on to the caller.
    let sound = unsafe {
        (
            self::policy(policy),
            allowed(decision),
            name.bytes(),
            value.bytes(),
        )
    };
    match sound {
        (Some(policy), Some(reason), Ok(name), Ok(value)) => {
            let decision = Decision::new(reason, policy.effective_mode());
            policy.drops(&decision, name, value)
        }
        _ => true,
    }
}

/// The lengths of the names that are read or may be dropped: bit n % 64 is set where one has n bytes.
/// A host may leave out every header whose name has another length: it changes nothing of a decision
/// but the header's index, and keygate_policy_drops is false for it unless the request is denied.
///
/// Returns all ones for a bad policy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_policy_name_lengths(policy: *const keygate_policy) -> u64 {
    // SAFETY: passed on to the caller.
    unsafe { self::policy(policy) }.map_or(u64::MAX, Policy::name_lengths)
}

/// Decides about a request: keygate_evaluation_begin, a push of each header and a finish, in one
/// call. Headers after the one that settles the verdict are not looked at.
///
/// out: NULL, or a decision whose size is set; it is set to deny before anything else is read.
///
/// Returns KEYGATE_ALLOW (1) or KEYGATE_DENY (0) and nothing else. Any bad argument, an unusable
/// policy included, is a deny with KEYGATE_REASON_INVALID_CALL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_decide(
    policy: *const keygate_policy,
    request: *const keygate_request,
    out: *mut keygate_decision,
) -> keygate_verdict {
    let output = Output::whole(out);
    let whole = size_of::<keygate_request>();
    // SAFETY: passed on to the caller. What `decide` borrows is no longer used when `out` is set.
    unsafe {
        if !out.is_null() {
            if check(out, 1).is_err() {
                return KEYGATE_DENY;
            }
            let size = (&raw const (*out).size).read();
            if size < output.known || isize::try_from(size).is_err() {
                return decide_other(policy, request, out);
            }
            if output.overlaps(policy, size_of::<keygate_policy>()) {
                return KEYGATE_DENY;
            }
            output.write(&keygate_decision::DENIAL);
        }
        if check(request, 1).is_err() {
            return KEYGATE_DENY;
        }
        if output.overlaps(request, whole) || (&raw const (*request).size).read() != whole {
            return decide_other(policy, request, out);
        }
        output.set(decide(policy, &*request, &output))
    }
}

/// Begins a decision that is fed one header at a time.
///
/// evaluation: size bytes of the caller's, normally sizeof(keygate_evaluation).
/// policy: kept until keygate_evaluation_finish; it must stay as it is for so long.
/// method, target: judged at once and not kept.
///
/// A bad argument shows in keygate_evaluation_finish, which then denies.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_evaluation_begin(
    evaluation: *mut keygate_evaluation,
    size: usize,
    policy: *const keygate_policy,
    method: keygate_str,
    target: keygate_str,
) {
    if check(evaluation, 1).is_err() {
        return;
    }
    let whole = size_of::<keygate_evaluation>();
    let ours = size.min(whole);
    if overlap(evaluation, ours, policy, size_of::<keygate_policy>()) {
        return; // a policy is never written to, and its first words begin no evaluation
    }
    // SAFETY: the caller says that it has this many bytes; the rest as passed on to the caller.
    unsafe {
        ptr::write_bytes(evaluation.cast::<u8>(), 0, ours);
        if size < whole {
            return;
        }
        let (Some(core), Ok(method), Ok(target)) =
            (self::policy(policy), method.bytes(), target.bytes())
        else {
            return;
        };
        let begun = core.evaluate(method, target);
        evaluation
            .cast::<StoredEvaluation>()
            .write(StoredEvaluation {
                mark: EVALUATION_MARK,
                policy,
                evaluation: begun,
            });
    }
}

/// The evaluation in a caller's storage, where it was begun, is not finished, and its policy is
/// still there.
///
/// # Safety
///
/// A whole `keygate_evaluation` is readable and writable at `pointer`, and no other thread uses it.
unsafe fn evaluation<'a>(pointer: *mut keygate_evaluation) -> Option<&'a mut StoredEvaluation> {
    check(pointer, 1).ok()?;
    let stored = pointer.cast::<StoredEvaluation>();
    // SAFETY: readable and aligned; any bytes make a number. The mark is there, so
    // `keygate_evaluation_begin` wrote the rest.
    unsafe {
        if (&raw const (*stored).mark).read() != EVALUATION_MARK {
            return None;
        }
        policy((*stored).policy)?;
        Some(&mut *stored)
    }
}

/// Takes the next header, in the order received. Nothing of it is kept, so one small buffer serves
/// for all of them.
///
/// Returns false where nothing that follows can change the verdict; the rest may be left out then,
/// and pushing it does no harm. A bad argument returns false too and makes
/// keygate_evaluation_finish deny.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_evaluation_push(
    evaluation: *mut keygate_evaluation,
    name: keygate_str,
    value: keygate_str,
) -> bool {
    // SAFETY: passed on to the caller.
    unsafe {
        let Some(stored) = self::evaluation(evaluation) else {
            return false;
        };
        if !stored.evaluation.is_open() {
            return false;
        }
        if let (Ok(name), Ok(value)) = (name.bytes(), value.bytes()) {
            return stored.evaluation.push(name, value);
        }
        stored.mark = 0;
        false
    }
}

/// Ends an evaluation: the decision about the headers pushed so far. The evaluation must be begun
/// anew before it is used again; until then it denies.
///
/// out: NULL, or a decision whose size is set. It must not overlap the evaluation.
///
/// Returns KEYGATE_ALLOW (1) or KEYGATE_DENY (0) and nothing else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_evaluation_finish(
    evaluation: *mut keygate_evaluation,
    out: *mut keygate_decision,
) -> keygate_verdict {
    // SAFETY: passed on to the caller. The evaluation is taken out before `out` is set.
    unsafe {
        let taken = self::evaluation(evaluation).map(|stored| {
            stored.mark = 0;
            (stored.policy, stored.evaluation.clone().finish())
        });
        let policy = taken.map_or(ptr::null(), |(policy, _)| policy);
        let Some(output) = Output::new(out, policy) else {
            return KEYGATE_DENY;
        };
        if output.overlaps(evaluation, size_of::<keygate_evaluation>()) {
            return KEYGATE_DENY;
        }
        output.set(taken.map(|(_, decision)| decision))
    }
}

/// A caller's buffer that takes what fits and counts the rest.
struct Buffer {
    at: *mut u8,
    size: usize,
    needed: usize,
}

impl Buffer {
    /// An unusable buffer counts as one without room.
    fn new(at: *mut c_char, size: usize) -> Self {
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
    unsafe fn end(self) -> usize {
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

/// Says in English why a request is decided as it is, for the operator and never for the client:
/// what it finds out about a wrong key shows in the text and in the time it takes. It holds header
/// names and lengths, and no byte of a key or of a credential.
///
/// buffer: size bytes of the caller's; NULL is fine with size 0. As much as fits is written, always
/// with a NUL at its end where size is not 0. NULL, or a size above PTRDIFF_MAX, counts as size 0.
/// It must not overlap the policy: then nothing is written and 0 returned.
///
/// Returns the length of the whole text in bytes without the NUL, like snprintf: what is below
/// size was written whole. Lines end in '\n' but for the last. For a bad argument the text is that
/// of KEYGATE_REASON_INVALID_CALL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_explain(
    policy: *const keygate_policy,
    request: *const keygate_request,
    buffer: *mut c_char,
    size: usize,
) -> usize {
    let mut to = Buffer::new(buffer, size);
    if overlap(buffer, to.size, policy, size_of::<keygate_policy>()) {
        return 0;
    }
    // SAFETY: passed on to the caller. An explanation borrows from the policy alone.
    let _ = match unsafe { explain(policy, request) } {
        Some(explanation) => explanation.write(Language::En, &mut to),
        None => fmt::Write::write_str(&mut to, Reason::InvalidCall.text()),
    };
    // SAFETY: passed on to the caller.
    unsafe { to.end() }
}

/// The same as codes: bit i is row i of the table of findings, and keygate_finding_text gives its
/// name. 0 for a bad argument. For the operator, never for the client.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_findings(
    policy: *const keygate_policy,
    request: *const keygate_request,
) -> u32 {
    // SAFETY: passed on to the caller.
    unsafe { explain(policy, request) }.map_or(0, |explanation| explanation.findings().bits())
}

/// The name of a finding, "bearer_no_space" for example. Static; "unknown" unless exactly one known
/// bit is set.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_finding_text(one_bit: u32) -> *const c_char {
    Finding::ALL
        .into_iter()
        .find(|finding| finding.bit() == one_bit)
        .map_or(c"unknown", Finding::c_name)
        .as_ptr()
}

/// Makes a fresh key: "sk-" and 32 lower-case hexadecimal digits.
///
/// random: 16 bytes from the system's source of randomness.
/// buffer: size bytes of the caller's, at least KEYGATE_GENERATED_KEY_SIZE (36). With less, it gets
/// an empty text: half a key is none. NULL is fine with size 0.
///
/// Returns 35, the length of the key without the NUL, or 0 for a bad argument.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_generate_key(
    random: *const u8,
    buffer: *mut c_char,
    size: usize,
) -> usize {
    let mut to = Buffer::new(buffer, size);
    if to.size != size {
        return 0;
    }
    // SAFETY: the caller says that 16 bytes are readable. They are copied before `buffer` is
    // written, which may be the same.
    unsafe {
        let Some(random) = array(random, 16)
            .ok()
            .and_then(|random| random.first_chunk())
        else {
            to.end();
            return 0;
        };
        let mut random = *random;
        let key = crate::generate_key(&random);
        random.zeroize();
        if size >= KEYGATE_GENERATED_KEY_SIZE {
            let _ = fmt::Write::write_str(&mut to, key.as_str());
        }
        to.end();
        key.as_bytes().len()
    }
}

fn reason(code: keygate_reason) -> Option<Reason> {
    Reason::ALL.into_iter().find(|reason| reason.code() == code)
}

/// One sentence for the operator's log. Static; "unknown reason" for any other number.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_reason_text(reason: keygate_reason) -> *const c_char {
    self::reason(reason)
        .map_or(c"unknown reason", Reason::c_text)
        .as_ptr()
}

/// The name of a reason, "key_mismatch" for example. Static; "unknown" for any other number.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_reason_name(reason: keygate_reason) -> *const c_char {
    self::reason(reason)
        .map_or(c"unknown", Reason::c_name)
        .as_ptr()
}

/// The name of a mode, "all_except_health" for example. Static; "unknown" for any other number.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_mode_name(mode: keygate_mode) -> *const c_char {
    self::mode(mode)
        .map_or(c"unknown", AuthMode::c_name)
        .as_ptr()
}

/// What a status means, in words. Static; "unknown status" for any other number.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_status_text(status: keygate_status) -> *const c_char {
    let text = match status {
        KEYGATE_OK => c"no error",
        KEYGATE_ERR_NULL => c"a pointer that must not be NULL is NULL",
        KEYGATE_ERR_ALIGNMENT => c"a pointer is not aligned",
        KEYGATE_ERR_SIZE => {
            c"a size is too small, or a struct has fields that this library does not know"
        }
        KEYGATE_ERR_LENGTH => c"a length is too great",
        KEYGATE_ERR_MODE => c"auth_mode must be off, strict, all_except_health or auto",
        KEYGATE_ERR_FLAGS => c"a flag is unknown or contradicts the rest",
        KEYGATE_ERR_OVERLAP => c"the output overlaps an input",
        other => ConfigErrorKind::ALL
            .into_iter()
            .find(|kind| kind.code() == other)
            .map_or(c"unknown status", ConfigErrorKind::c_text),
    };
    text.as_ptr()
}

/// The reason of a decision.
///
/// # Safety
///
/// `decision` is NULL, or as many bytes as the struct says are readable there.
unsafe fn decided(decision: *const keygate_decision) -> Option<Reason> {
    check(decision, 1).ok()?;
    // SAFETY: aligned and readable; `reason` only where the struct is long enough.
    let code = unsafe {
        if (&raw const (*decision).size).read() < LEAST + size_of::<keygate_reason>() {
            return None;
        }
        (&raw const (*decision).reason).read()
    };
    reason(code)
}

/// The reason of an allow, where the verdict says so too.
///
/// # Safety
///
/// As for `decided`.
unsafe fn allowed(decision: *const keygate_decision) -> Option<Reason> {
    // SAFETY: passed on to the caller. With a reason, the struct is long enough for a verdict.
    unsafe {
        let reason = decided(decision)?;
        let verdict = (&raw const (*decision).verdict).read();
        (verdict == KEYGATE_ALLOW && reason.verdict() == Verdict::Allow).then_some(reason)
    }
}

/// What to answer a denied request; for anything that is no denial, what an invalid key gets.
///
/// # Safety
///
/// As for `decided`.
unsafe fn denial(decision: *const keygate_decision) -> Denial {
    // SAFETY: passed on to the caller.
    unsafe { decided(decision) }
        .and_then(Reason::denial)
        .unwrap_or(Denial::CLOSED)
}

/// The body to answer a denied request with, of type application/json. Static; never NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_denial_body(decision: *const keygate_decision) -> *const c_char {
    // SAFETY: passed on to the caller.
    unsafe { denial(decision) }.body.as_ptr()
}

/// The value of the WWW-Authenticate header to answer a denied request with. Static; never NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_denial_challenge(
    decision: *const keygate_decision,
) -> *const c_char {
    // SAFETY: passed on to the caller.
    unsafe { denial(decision) }.challenge.as_ptr()
}

// A panic that can be reached calls what does not exist, and so cannot be linked.
#[cfg(all(panic = "abort", not(test)))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn keygate_a_panic_can_be_reached() -> !;
    }
    // SAFETY: never linked, so never called.
    unsafe { keygate_a_panic_can_be_reached() }
}
