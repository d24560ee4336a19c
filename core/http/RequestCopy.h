#pragma once

#include <http/codec/Head.h>

#include <optional>
#include <string>
#include <string_view>

namespace matrixos::api {

/// A request head that outlives the connection it came on: what a handler borrows stays where it is. Immutable.
class RequestCopy {
public:
  /// Copies the head's text once.
  explicit RequestCopy(const http::RequestHead &from);
  RequestCopy(const RequestCopy &) = delete;
  RequestCopy &operator=(const RequestCopy &) = delete;

  const http::RequestHead &head() const { return head_; }
  /// The query without the "?"; empty when there is none.
  std::string_view query() const;
  /// The first field of that name, in any case.
  std::optional<std::string_view> find(std::string_view name) const;

private:
  std::string text_;
  http::RequestHead head_;
};

} // namespace matrixos::api
