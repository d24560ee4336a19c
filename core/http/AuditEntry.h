#pragma once

#include "auth/Permission.h"
#include "http/Router.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::api {

/// What an audit log is told of one request, gathered while it passes. A value; of the loop.
class AuditEntry {
public:
  /// Of nothing.
  AuditEntry() = default;
  AuditEntry(std::string_view method, std::shared_ptr<const RouteEntry> route, std::vector<std::string> params);

  /// Whether a request to that route may be of interest, whoever sends it.
  static bool mayMatter(std::string_view method, const RouteEntry &route) noexcept;

  /// Whether the route changes something: then nobody is told that it did before the log has it.
  bool isChange() const noexcept { return what_ == What::Change; }
  /// Also what an operator reads about an instance.
  bool isWanted() const noexcept { return what_ != What::Nothing; }
  /// Of the instance that it is about; or "".
  const std::string &handle() const noexcept { return handle_; }

  void setWho(const auth::Identity &who);
  void setAddress(std::string address) { address_ = std::move(address); }
  /// Keeps of the body what an allow-list names. Bodies hold secrets, and so are never kept as they are.
  void setBody(std::string_view body);
  void setBefore(std::string status) { before_ = std::move(status); }
  /// The JSON of an answer, of which a failure's reason is kept.
  void setAnswer(std::string_view body);
  void setReason(std::string_view reason) { reason_ = reason; }

  /// The event (abi/audit.h), given once: what is gathered is spent.
  std::string take(int status, std::string_view requestId, std::string_view after);

private:
  enum class What { Nothing, Read, Change };

  What what_ = What::Nothing;
  std::string method_;
  std::shared_ptr<const RouteEntry> route_;
  std::vector<std::string> params_;
  std::string principal_, kind_, address_, handle_, given_, before_, reason_;
};

} // namespace matrixos::api
