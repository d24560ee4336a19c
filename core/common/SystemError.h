/// Failed system calls as matrixos::Error.
#pragma once

#include <string>

namespace matrixos::common {

/// "No space left on device" and so on. Thread-safe, unlike strerror().
std::string errnoText(int error);

/// Throws Error for a failed system call. `what` says what was attempted, with the path: "writing /var/lib/x". The
/// status follows errno: ENOSPC and EDQUOT are ResourceExhausted, EACCES and EPERM PermissionDenied, ENOENT NotFound,
/// EEXIST AlreadyExists, EIO and EROFS Unavailable, the rest Internal.
[[noreturn]] void throwErrno(int error, const std::string &what);

} // namespace matrixos::common
