#pragma once

#include "Ids.h"
#include "ReaderLocks.h"

#include <matrixos/host.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace matrixos::identity {

/// A token of an operator's, for programs: "mxo_…", of which its hash alone is kept.
struct ApiToken {
  std::string id, name;
  std::string scopes; ///< separated by blanks, "*" is all
  std::string createdBy;
  std::int64_t createdAt = 0, expiresAt = 0;

  /// For permissions and logs.
  std::string principal() const { return "token:" + id; }
};

/// All API tokens, in memory as in the database. find() allocates nothing and waits for no other look-up; the rest
/// blocks for disk.
class ApiTokens {
public:
  static constexpr std::size_t kMost = 1000;

  ApiTokens(const Sql &sql, std::function<std::int64_t()> now) : sql_(sql), now_(std::move(now)) {}

  /// Reads what there is; once, before anybody asks.
  void load();
  /// Of an Authorization field's value; null when it is none, unknown or expired.
  std::shared_ptr<const ApiToken> find(std::string_view authorization) const;
  std::vector<ApiToken> list() const;

  struct Made {
    ApiToken token;
    std::string secret; ///< shown once
  };
  /// Throws Error(InvalidArgument) for a name, scope or ttl that is none, ResourceExhausted when there are too many.
  Made make(const std::string &name, const std::vector<std::string> &scopes, std::int64_t ttlMs,
            std::string_view createdBy);
  /// False when there is none.
  bool remove(std::string_view id);

private:
  void requireRoom();

  const Sql &sql_;
  const std::function<std::int64_t()> now_;
  ReaderLocks locks_;
  std::unordered_map<DigestKey, std::shared_ptr<const ApiToken>, DigestKey::Hash> byHash_;
};

} // namespace matrixos::identity
