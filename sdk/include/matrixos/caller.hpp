/// matrixos/caller.hpp: who sends a request to the plugin's routes, abi/host.h mos_http_request. Needs PocoJSON.
///
///     const Caller caller = Caller::of(exchange);
///     if (!caller.maySee("instances:read", record.handle, record.owner)) …
#pragma once

#include <matrixos/host/http.hpp>
#include <matrixos/identity.hpp>
#include <matrixos/json.hpp>
#include <matrixos/status.hpp>

#include <map>
#include <string>
#include <string_view>

namespace matrixos {
inline namespace v1 {

/// A value. The route's permission has been judged by the host; this is for what the answer depends on: what a list
/// shows, and in whose name somebody acts.
struct Caller {
  enum class Kind { Public, User, Operator, Instance };

  Kind kind = Kind::Public;
  std::string id;                            ///< "user:2abc", "token:deploy", "instance:alice"
  std::string scopes;                        ///< of an operator, separated by blanks
  std::map<std::string, std::string> shares; ///< of a user: "use" or "manage" by handle, without the own instance

  static Caller of(const Exchange &exchange) { return parse(exchange.caller()); }
  /// An operator with all scopes for "", which a host of ABI 1.0 gives. Throws Error(InvalidArgument).
  static Caller parse(std::string_view text) {
    Caller caller;
    if (text.empty()) {
      caller.kind = Kind::Operator;
      caller.scopes = "*";
      return caller;
    }
    const json::Object::Ptr object = json::parseObject(text);
    const std::string word = json::getString(*object, "kind");
    caller.kind = word == "user"       ? Kind::User
                  : word == "operator" ? Kind::Operator
                  : word == "instance" ? Kind::Instance
                                       : Kind::Public;
    caller.id = json::findString(*object, "id").value_or("");
    caller.scopes = json::findString(*object, "scopes").value_or("");
    if (const json::Object::Ptr shares = json::findObject(*object, "shares"))
      for (const auto &[handle, role] : *shares)
        caller.shares.emplace(handle, role.convert<std::string>());
    return caller;
  }

  /// "2abc" of "user:2abc", "alice" of "instance:alice".
  std::string_view name() const noexcept {
    const std::string_view all = id;
    const std::size_t colon = all.find(':');
    return colon == std::string_view::npos ? all : all.substr(colon + 1);
  }
  /// Whether an operator has the scope.
  bool hasScope(std::string_view scope) const noexcept { return v1::hasScope(scopes, scope); }
  /// Whether a user owns the instance.
  bool owns(std::string_view owner) const noexcept { return kind == Kind::User && !owner.empty() && owner == name(); }
  /// Whether a list may show the instance of that handle and owner: an operator sees all with the scope, a user his own
  /// and what is shared with him, an instance itself.
  bool maySee(std::string_view scope, std::string_view handle, std::string_view owner) const {
    if (kind == Kind::Operator) return hasScope(scope);
    if (kind == Kind::Instance) return name() == handle;
    return owns(owner) || shares.count(std::string(handle)) != 0;
  }
};

} // namespace v1
} // namespace matrixos
