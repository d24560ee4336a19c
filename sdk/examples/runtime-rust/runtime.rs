//! runtime-rust: a runtime plugin in Rust, with nothing but the standard library.
//!
//!     rustc --edition 2021 -O --crate-type cdylib --crate-name runtime_rust runtime.rs -o runtime-rust.so
//!
//! abi.rs is the contract, json.rs reads what strangers send, engine.rs keeps instances in memory, and this file is the
//! border: it turns pointers into slices on the way in, results into statuses on the way out, and lets no panic cross.

mod abi;
mod engine;
mod json;

use abi::{Buf, Call, Descriptor, Error, Host, Plugin, Provide, Runtime, Services, Sink, Status, Str};
use engine::{failure, read_labels, Answer, Engine, Failure, Step};
use std::os::raw::{c_char, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};

const INSTANCE: &str = "rust";

// ---- the border -------------------------------------------------------------------------------------------------

/// The bytes that a caller lends for the call.
unsafe fn bytes<'a>(text: Str) -> &'a [u8] {
    if text.len == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(text.ptr, text.len as usize)
    }
}

/// As text; what is no UTF-8 is nobody's name.
unsafe fn text<'a>(text: Str) -> &'a str {
    std::str::from_utf8(bytes(text)).unwrap_or("\u{fffd}")
}

fn lend(text: &str) -> Str {
    Str { ptr: text.as_ptr(), len: text.len() as u64 }
}

/// Copies a text into a field, cut at a character and ended by NUL.
fn copy(to: &mut [u8], text: &str) {
    let mut length = text.len().min(to.len() - 1);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    to[..length].copy_from_slice(&text.as_bytes()[..length]);
    to[length] = 0;
}

unsafe fn report(error: *mut Error, failure: &Failure) -> Status {
    if let Some(error) = error.as_mut() {
        error.status = failure.status;
        error.retry_after_ms = 0;
        error.reserved = 0;
        copy(&mut error.reason, failure.reason);
        copy(&mut error.message, &failure.message);
    }
    failure.status
}

/// Runs `body` and turns its outcome into a status. A panic becomes INTERNAL: it must not unwind into the host.
unsafe fn guarded(error: *mut Error, body: impl FnOnce() -> Answer<()>) -> Status {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => abi::OK,
        Ok(Err(failure)) => report(error, &failure),
        Err(_) => {
            let message = "the runtime panicked; its message stands in the daemon's log".to_string();
            report(error, &Failure { status: abi::INTERNAL, reason: "PANIC", message })
        }
    }
}

unsafe extern "C" fn release(buf: *mut Buf) {
    drop(Box::from_raw((*buf).owner as *mut String));
    *buf = Buf { ptr: std::ptr::null_mut(), len: 0, owner: std::ptr::null_mut(), release: None };
}

/// Hands a text over to the caller, who releases it.
unsafe fn give(out: *mut Buf, text: String) {
    let mut owner = Box::new(text);
    let (ptr, len) = (owner.as_mut_ptr(), owner.len() as u64);
    *out = Buf { ptr, len, owner: Box::into_raw(owner) as *mut c_void, release: Some(release) };
}

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanos: i64,
}

extern "C" {
    fn clock_gettime(clock: i32, out: *mut Timespec) -> i32;
}

fn monotonic_nanos() -> i64 {
    const CLOCK_MONOTONIC: i32 = 1;
    let mut now = Timespec { seconds: 0, nanos: 0 };
    unsafe { clock_gettime(CLOCK_MONOTONIC, &mut now) };
    now.seconds * 1_000_000_000 + now.nanos
}

/// Whether the caller still wants the call's result.
unsafe fn still_wanted(call: *const Call) -> Answer<()> {
    let call = match call.as_ref() {
        Some(call) => call,
        None => return Ok(()),
    };
    if call.cancelled.map_or(false, |cancelled| cancelled(call) != 0) {
        return failure(abi::CANCELLED, "", "the caller cancelled the operation");
    }
    if call.deadline_ns != abi::NO_DEADLINE && monotonic_nanos() >= call.deadline_ns {
        return failure(abi::DEADLINE_EXCEEDED, "", "the operation ran out of time");
    }
    Ok(())
}

// ---- the functions of the table -----------------------------------------------------------------------------------

type Me = *mut c_void;

unsafe fn engine<'a>(me: Me) -> &'a Engine {
    &(*(me as *const Made)).engine
}

/// For the functions that answer with a text.
unsafe fn answer(call: *const Call, out: *mut Buf, error: *mut Error, body: impl FnOnce() -> Answer<String>) -> Status {
    guarded(error, || {
        still_wanted(call)?;
        give(out, body()?);
        Ok(())
    })
}

unsafe extern "C" fn capabilities(_: Me, _: *const Call, out: *mut Buf, error: *mut Error) -> Status {
    guarded(error, || {
        give(
            out,
            "{\"engine\": \"memory\", \"engineVersion\": \"1.0.0\", \"publishesPorts\": false, \"pause\": true, \
             \"volumes\": false, \"stats\": true, \"isolation\": \"simulated\"}"
                .to_string(),
        );
        Ok(())
    })
}

unsafe extern "C" fn create(me: Me, call: *const Call, spec: Str, out: *mut Buf, error: *mut Error) -> Status {
    answer(call, out, error, || {
        let operation = call.as_ref().map_or("", |call| text(call.operation_id));
        engine(me).create(bytes(spec), operation)
    })
}

unsafe fn take(me: Me, call: *const Call, reference: Str, step: &Step, error: *mut Error) -> Status {
    guarded(error, || {
        still_wanted(call)?;
        engine(me).step(text(reference), step)
    })
}

unsafe extern "C" fn start(me: Me, call: *const Call, reference: Str, error: *mut Error) -> Status {
    take(me, call, reference, &engine::START, error)
}

unsafe extern "C" fn pause(me: Me, call: *const Call, reference: Str, error: *mut Error) -> Status {
    take(me, call, reference, &engine::PAUSE, error)
}

unsafe extern "C" fn unpause(me: Me, call: *const Call, reference: Str, error: *mut Error) -> Status {
    take(me, call, reference, &engine::UNPAUSE, error)
}

unsafe extern "C" fn stop(me: Me, call: *const Call, reference: Str, _grace_ms: i64, error: *mut Error) -> Status {
    guarded(error, || {
        still_wanted(call)?;
        engine(me).stop(text(reference));
        Ok(())
    })
}

unsafe extern "C" fn remove(me: Me, call: *const Call, reference: Str, flags: u32, error: *mut Error) -> Status {
    guarded(error, || {
        still_wanted(call)?;
        engine(me).remove(text(reference), flags & abi::REMOVE_FORCE != 0)
    })
}

unsafe extern "C" fn inspect(me: Me, call: *const Call, reference: Str, out: *mut Buf, error: *mut Error) -> Status {
    answer(call, out, error, || engine(me).inspect(text(reference)))
}

unsafe extern "C" fn endpoints(me: Me, call: *const Call, reference: Str, out: *mut Buf, error: *mut Error) -> Status {
    answer(call, out, error, || engine(me).endpoints(text(reference)))
}

unsafe extern "C" fn stats(me: Me, call: *const Call, reference: Str, out: *mut Buf, error: *mut Error) -> Status {
    answer(call, out, error, || engine(me).stats(text(reference)))
}

/// Whether the receiver wants more.
unsafe fn send(items: Sink, line: &str) -> bool {
    (items.item)(items.ctx, lend(line)) == abi::SINK_CONTINUE
}

unsafe extern "C" fn list(me: Me, call: *const Call, labels: Str, items: Sink, error: *mut Error) -> Status {
    guarded(error, || {
        still_wanted(call)?;
        // The engine is not locked while the sink takes its time.
        for line in engine(me).list(&read_labels(bytes(labels))?) {
            if !send(items, &line) {
                break;
            }
        }
        Ok(())
    })
}

unsafe extern "C" fn events(me: Me, call: *const Call, labels: Str, items: Sink, error: *mut Error) -> Status {
    struct Subscription<'a>(&'a Engine);
    impl Drop for Subscription<'_> {
        fn drop(&mut self) {
            self.0.unsubscribe();
        }
    }
    guarded(error, || {
        still_wanted(call)?;
        let wanted = read_labels(bytes(labels))?;
        let mut next = engine(me).subscribe();
        let subscription = Subscription(engine(me));
        loop {
            still_wanted(call)?;
            match subscription.0.events_since(&mut next, &wanted) {
                Some(lines) if lines.iter().all(|line| send(items, line)) => {}
                Some(_) => return Ok(()),
                None => return failure(abi::UNAVAILABLE, "ENGINE_UNREACHABLE", "the runtime is stopping"),
            }
        }
    })
}

unsafe fn unimplemented(error: *mut Error, what: &str) -> Status {
    let message = format!("this runtime has no {}", what);
    report(error, &Failure { status: abi::UNIMPLEMENTED, reason: "UNIMPLEMENTED", message })
}

unsafe extern "C" fn pull(_: Me, _: *const Call, _: Str, _: Sink, _: *mut Buf, error: *mut Error) -> Status {
    unimplemented(error, "images")
}
unsafe extern "C" fn logs(_: Me, _: *const Call, _: Str, _: Str, _: Sink, error: *mut Error) -> Status {
    unimplemented(error, "logs")
}
unsafe extern "C" fn volume_ensure(_: Me, _: *const Call, _: Str, _: *mut Buf, error: *mut Error) -> Status {
    unimplemented(error, "volumes")
}
unsafe extern "C" fn volume_move(_: Me, _: *const Call, _: Str, _: Str, error: *mut Error) -> Status {
    unimplemented(error, "volumes")
}

// ---- the plugin ---------------------------------------------------------------------------------------------------

/// What create() makes. Boxed, so that the table stays where it is.
struct Made {
    table: Runtime,
    engine: Engine,
    services: *const Services,
}

unsafe extern "C" fn plugin_start(me: Me, error: *mut Error) -> Status {
    let made = &*(me as *const Made);
    let services = &*made.services;
    let table = &made.table as *const Runtime as *const c_void;
    (services.provide)(services.me, lend(abi::RUNTIME), lend(INSTANCE), table, error)
}

/// After this no call is in the table, and no thread in events().
unsafe extern "C" fn plugin_stop(me: Me, error: *mut Error) -> Status {
    let made = &*(me as *const Made);
    let services = &*made.services;
    let ended = guarded(error, || {
        made.engine.end();
        Ok(())
    });
    let withdrawn = (services.withdraw)(services.me, lend(abi::RUNTIME), lend(INSTANCE), error);
    if ended != abi::OK {
        ended
    } else {
        withdrawn
    }
}

unsafe extern "C" fn plugin_destroy(me: Me) {
    let _ = catch_unwind(|| drop(Box::from_raw(me as *mut Made)));
}

unsafe extern "C" fn plugin_create(host: *const Host, plugin: *mut Plugin, error: *mut Error) -> Status {
    guarded(error, || {
        let host = &*host;
        let id = b"matrixos.host.services/1\0".as_ptr() as *const c_char;
        let services = (host.get_interface)(host.me, id) as *const Services;
        if services.is_null() {
            return failure(abi::FAILED_PRECONDITION, "NO_SERVICES", "this host offers no matrixos.host.services/1");
        }
        let table = Runtime {
            struct_size: std::mem::size_of::<Runtime>() as u32,
            minor: 0,
            me: std::ptr::null_mut(),
            capabilities,
            pull,
            create,
            start,
            stop,
            remove,
            inspect,
            list,
            logs,
            stats,
            pause,
            unpause,
            events,
            volume_ensure,
            volume_trash: volume_move,
            volume_snapshot: volume_move,
            endpoints,
        };
        let made = Box::into_raw(Box::new(Made { table, engine: Engine::default(), services }));
        (*made).table.me = made as Me;
        let plugin = &mut *plugin;
        plugin.me = made as Me;
        plugin.start = Some(plugin_start);
        plugin.stop = Some(plugin_stop);
        plugin.destroy = Some(plugin_destroy);
        Ok(())
    })
}

static PROVIDES: [Provide; 1] = [Provide {
    service: b"matrixos.runtime/1\0".as_ptr() as *const c_char,
    instance: b"rust\0".as_ptr() as *const c_char,
    minor: 0,
    reserved: 0,
}];

static DESCRIPTOR: Descriptor = Descriptor {
    struct_size: std::mem::size_of::<Descriptor>() as u32,
    magic: abi::MAGIC,
    abi_major: abi::ABI_MAJOR,
    min_host_minor: 0,
    id: b"runtime-rust\0".as_ptr() as *const c_char,
    name: b"Runtime in Rust\0".as_ptr() as *const c_char,
    version: b"1.0.0\0".as_ptr() as *const c_char,
    vendor: b"Matrix OS\0".as_ptr() as *const c_char,
    license: b"MIT\0".as_ptr() as *const c_char,
    description: b"Keeps instances as records in memory; an example in Rust.\0".as_ptr() as *const c_char,
    provides: PROVIDES.as_ptr(),
    needs: std::ptr::null(),
    config_keys: std::ptr::null(),
    provides_count: 1,
    needs_count: 0,
    config_keys_count: 0,
    reserved: 0,
    create: plugin_create,
};

#[no_mangle]
pub extern "C" fn mos_plugin_entry_v1() -> *const Descriptor {
    &DESCRIPTOR
}
