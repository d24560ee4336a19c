/// matrixos/status.hpp: statuses and the exception that carries one. Used on both sides of the ABI.
#pragma once

#include <matrixos/abi/base.h>
#include <matrixos/text/utf8.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace matrixos {
inline namespace v1 {

/// Result of an operation; the numbers are those of the ABI and of gRPC.
enum class Status : mos_status {
  Ok = MOS_OK,
  Cancelled = MOS_CANCELLED,
  Unknown = MOS_UNKNOWN,
  InvalidArgument = MOS_INVALID_ARGUMENT,
  DeadlineExceeded = MOS_DEADLINE_EXCEEDED,
  NotFound = MOS_NOT_FOUND,
  AlreadyExists = MOS_ALREADY_EXISTS,
  PermissionDenied = MOS_PERMISSION_DENIED,
  ResourceExhausted = MOS_RESOURCE_EXHAUSTED,
  FailedPrecondition = MOS_FAILED_PRECONDITION,
  Aborted = MOS_ABORTED,
  OutOfRange = MOS_OUT_OF_RANGE,
  Unimplemented = MOS_UNIMPLEMENTED,
  Internal = MOS_INTERNAL,
  Unavailable = MOS_UNAVAILABLE,
  DataLoss = MOS_DATA_LOSS,
  Unauthenticated = MOS_UNAUTHENTICATED,
};

namespace detail {

struct StatusMeaning {
  const char *name;
  int http; // RFC 9110 §15
};

/// In the order of the numbers.
inline constexpr StatusMeaning kStatuses[] = {{"OK", 200},
                                              {"CANCELLED", 503},
                                              {"UNKNOWN", 500},
                                              {"INVALID_ARGUMENT", 400},
                                              {"DEADLINE_EXCEEDED", 504},
                                              {"NOT_FOUND", 404},
                                              {"ALREADY_EXISTS", 409},
                                              {"PERMISSION_DENIED", 403},
                                              {"RESOURCE_EXHAUSTED", 503},
                                              {"FAILED_PRECONDITION", 412},
                                              {"ABORTED", 409},
                                              {"OUT_OF_RANGE", 400},
                                              {"UNIMPLEMENTED", 501},
                                              {"INTERNAL", 500},
                                              {"UNAVAILABLE", 503},
                                              {"DATA_LOSS", 500},
                                              {"UNAUTHENTICATED", 401}};
static_assert(std::size(kStatuses) == MOS_UNAUTHENTICATED + 1);

inline const StatusMeaning &meaningOf(Status status) noexcept {
  const auto number = static_cast<std::size_t>(status);
  return kStatuses[number < std::size(kStatuses) ? number : MOS_UNKNOWN];
}

} // namespace detail

/// "NOT_FOUND" and so on; "UNKNOWN" for numbers from the future.
inline const char *statusName(Status status) noexcept {
  return detail::meaningOf(status).name;
}

/// The one table from statuses to HTTP.
inline int httpStatus(Status status) noexcept {
  return detail::meaningOf(status).http;
}

/// A failure with a status, a stable word for programs and a sentence for people that says what to do next.
/// Thrown inside a component and translated once at its border: HTTP gate, plugin ABI or thread entry.
class Error : public std::runtime_error {
public:
  Error(Status status, const std::string &message, std::string reason = {}, std::int64_t retryAfterMs = 0)
      : std::runtime_error(message), status_(status), reason_(std::move(reason)), retryAfterMs_(retryAfterMs) {}

  Status status() const noexcept { return status_; }
  /// UPPER_SNAKE_CASE or empty.
  const std::string &reason() const noexcept { return reason_; }
  /// 0: no advice.
  std::int64_t retryAfterMs() const noexcept { return retryAfterMs_; }

private:
  Status status_;
  std::string reason_;
  std::int64_t retryAfterMs_;
};

inline mos_str toAbi(std::string_view text) noexcept {
  return {text.data(), text.size()};
}
inline std::string_view fromAbi(mos_str text) noexcept {
  return text.len == 0 ? std::string_view{} : std::string_view{text.ptr, static_cast<std::size_t>(text.len)};
}

namespace detail {

/// Copies text into a fixed field of mos_error, cut at a UTF-8 character boundary and NUL-terminated.
template <std::size_t Size>
void copyText(char (&to)[Size], std::string_view text) noexcept {
  const std::string_view cut = cutUtf8(text, Size - 1);
  if (!cut.empty()) std::memcpy(to, cut.data(), cut.size());
  to[cut.size()] = '\0';
}

} // namespace detail

/// Fills `error` (which may be null) and returns the status, for `return fail(…)` at the ABI border.
inline mos_status fail(mos_error *error, Status status, std::string_view message, std::string_view reason = {},
                       std::int64_t retryAfterMs = 0) noexcept {
  if (error != nullptr) {
    error->status = static_cast<mos_status>(status);
    error->retry_after_ms = retryAfterMs;
    detail::copyText(error->reason, reason);
    detail::copyText(error->message, message);
    error->reserved = 0;
  }
  return static_cast<mos_status>(status);
}

/// The exception for a failed ABI call.
inline Error toError(mos_status status, const mos_error &error) {
  const std::size_t reason = ::strnlen(error.reason, MOS_REASON_SIZE);
  const std::size_t message = ::strnlen(error.message, MOS_MESSAGE_SIZE);
  const auto known = static_cast<Status>(status);
  return Error(known, message != 0 ? std::string(error.message, message) : std::string(statusName(known)),
               std::string(error.reason, reason), error.retry_after_ms);
}

/// Runs `body`, which returns nothing or a mos_status, and turns whatever it throws into a status. Every function
/// that a plugin or the host hands across the border is wrapped in it, so that no exception crosses.
template <typename Body>
mos_status guarded(mos_error *error, Body &&body) noexcept {
  try {
    if constexpr (std::is_void_v<decltype(body())>) {
      body();
      return MOS_OK;
    } else {
      return body();
    }
  } catch (const Error &e) {
    return fail(error, e.status(), e.what(), e.reason(), e.retryAfterMs());
  } catch (const std::bad_alloc &) {
    return fail(error, Status::ResourceExhausted, "out of memory");
  } catch (const std::exception &e) {
    return fail(error, Status::Internal, e.what());
  } catch (...) {
    return fail(error, Status::Internal, "unknown exception");
  }
}

/// Throws unless the ABI call succeeded: `check([&](mos_error *e) { return log->write(…, e); });`
template <typename Call>
void check(Call &&call) {
  mos_error error{};
  const mos_status status = call(&error);
  if (status != MOS_OK) throw toError(status, error);
}

} // namespace v1
} // namespace matrixos
