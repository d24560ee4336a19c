//! The part of the contract (sdk/include/matrixos/abi) that a runtime needs, as Rust sees it: layouts, numbers and
//! names, and nothing that does anything. The assertions at the end pin sizes and offsets as the C headers do.

use std::os::raw::{c_char, c_void};

pub type Status = i32;
pub const OK: Status = 0;
pub const CANCELLED: Status = 1;
pub const INVALID_ARGUMENT: Status = 3;
pub const DEADLINE_EXCEEDED: Status = 4;
pub const NOT_FOUND: Status = 5;
pub const ALREADY_EXISTS: Status = 6;
pub const FAILED_PRECONDITION: Status = 9;
pub const UNIMPLEMENTED: Status = 12;
pub const INTERNAL: Status = 13;
pub const UNAVAILABLE: Status = 14;

pub const MAGIC: u32 = 0x3153_4f4d;
pub const ABI_MAJOR: u32 = 1;
pub const NO_DEADLINE: i64 = i64::MAX;
pub const SINK_CONTINUE: i32 = 0;
pub const REMOVE_FORCE: u32 = 1;
pub const RUNTIME: &str = "matrixos.runtime/1";
pub const LABEL_OPERATION: &str = "matrixos.operation-id";
pub const LABEL_SPEC_HASH: &str = "matrixos.spec-hash";

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Str {
    pub ptr: *const u8,
    pub len: u64,
}

#[repr(C)]
pub struct Buf {
    pub ptr: *mut u8,
    pub len: u64,
    pub owner: *mut c_void,
    pub release: Option<unsafe extern "C" fn(*mut Buf)>,
}

#[repr(C)]
pub struct Error {
    pub status: Status,
    pub retry_after_ms: i64,
    pub reason: [u8; 48],
    pub message: [u8; 452],
    pub reserved: u32,
}

#[repr(C)]
pub struct Call {
    pub struct_size: u32,
    pub cancel_fd: i32,
    pub deadline_ns: i64,
    pub operation_id: Str,
    pub trace_id: Str,
    pub ctx: *mut c_void,
    pub cancelled: Option<unsafe extern "C" fn(*const Call) -> i32>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Sink {
    pub ctx: *mut c_void,
    pub item: unsafe extern "C" fn(*mut c_void, Str) -> i32,
}

type Me = *mut c_void;
type TextOut = unsafe extern "C" fn(Me, *const Call, Str, *mut Buf, *mut Error) -> Status;
type Stream = unsafe extern "C" fn(Me, *const Call, Str, Sink, *mut Error) -> Status;
type ByRef = unsafe extern "C" fn(Me, *const Call, Str, *mut Error) -> Status;
type TwoTexts = unsafe extern "C" fn(Me, *const Call, Str, Str, *mut Error) -> Status;

#[repr(C)]
pub struct Runtime {
    pub struct_size: u32,
    pub minor: u32,
    pub me: Me,
    pub capabilities: unsafe extern "C" fn(Me, *const Call, *mut Buf, *mut Error) -> Status,
    pub pull: unsafe extern "C" fn(Me, *const Call, Str, Sink, *mut Buf, *mut Error) -> Status,
    pub create: TextOut,
    pub start: ByRef,
    pub stop: unsafe extern "C" fn(Me, *const Call, Str, i64, *mut Error) -> Status,
    pub remove: unsafe extern "C" fn(Me, *const Call, Str, u32, *mut Error) -> Status,
    pub inspect: TextOut,
    pub list: Stream,
    pub logs: unsafe extern "C" fn(Me, *const Call, Str, Str, Sink, *mut Error) -> Status,
    pub stats: TextOut,
    pub pause: ByRef,
    pub unpause: ByRef,
    pub events: Stream,
    pub volume_ensure: TextOut,
    pub volume_trash: TwoTexts,
    pub volume_snapshot: TwoTexts,
    pub endpoints: TextOut,
}

#[repr(C)]
pub struct Host {
    pub struct_size: u32,
    pub minor: u32,
    pub me: Me,
    pub get_interface: unsafe extern "C" fn(Me, *const c_char) -> *const c_void,
}

#[repr(C)]
pub struct Services {
    pub struct_size: u32,
    pub minor: u32,
    pub me: Me,
    pub provide: unsafe extern "C" fn(Me, Str, Str, *const c_void, *mut Error) -> Status,
    pub withdraw: unsafe extern "C" fn(Me, Str, Str, *mut Error) -> Status,
    pub acquire: unsafe extern "C" fn(Me, Str, Str, *mut *const c_void, *mut Error) -> Status,
    pub release: unsafe extern "C" fn(Me, *const c_void, *mut Error) -> Status,
}

#[repr(C)]
pub struct Plugin {
    pub struct_size: u32,
    pub reserved: u32,
    pub me: Me,
    pub start: Option<unsafe extern "C" fn(Me, *mut Error) -> Status>,
    pub stop: Option<unsafe extern "C" fn(Me, *mut Error) -> Status>,
    pub destroy: Option<unsafe extern "C" fn(Me)>,
    pub reconfigure: Option<unsafe extern "C" fn(Me, *mut Error) -> Status>,
}

#[repr(C)]
pub struct Provide {
    pub service: *const c_char,
    pub instance: *const c_char,
    pub minor: u32,
    pub reserved: u32,
}

#[repr(C)]
pub struct Descriptor {
    pub struct_size: u32,
    pub magic: u32,
    pub abi_major: u32,
    pub min_host_minor: u32,
    pub id: *const c_char,
    pub name: *const c_char,
    pub version: *const c_char,
    pub vendor: *const c_char,
    pub license: *const c_char,
    pub description: *const c_char,
    pub provides: *const Provide,
    pub needs: *const c_void,
    pub config_keys: *const c_void,
    pub provides_count: u32,
    pub needs_count: u32,
    pub config_keys_count: u32,
    pub reserved: u32,
    pub create: unsafe extern "C" fn(*const Host, *mut Plugin, *mut Error) -> Status,
}

// Constant data that nobody writes.
unsafe impl Sync for Descriptor {}
unsafe impl Sync for Provide {}

#[allow(dead_code)] // rustc 1.63 does not count uses in constants
const fn same(left: usize, right: usize) {
    // An index beyond the end stops the compiler, in every version of it.
    let _ = [(); 1][if left == right { 0 } else { 1 }];
}
const _: () = same(std::mem::size_of::<Str>(), 16);
const _: () = same(std::mem::size_of::<Buf>(), 32);
const _: () = same(std::mem::size_of::<Error>(), 520);
const _: () = same(std::mem::size_of::<Call>(), 64);
const _: () = same(std::mem::size_of::<Sink>(), 16);
const _: () = same(std::mem::size_of::<Runtime>(), 152);
const _: () = same(std::mem::size_of::<Services>(), 48);
const _: () = same(std::mem::size_of::<Plugin>(), 48);
const _: () = same(std::mem::size_of::<Descriptor>(), 112);
