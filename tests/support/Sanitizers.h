#pragma once

#include <doctest/doctest.h>

/// For a test case whose daemon crashes: a sanitizer reports that, and DaemonProcess takes its report for the daemon's
/// fault.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SKIP_IN_SANITIZERS *doctest::skip()
#else
#define SKIP_IN_SANITIZERS
#endif
