/// Whose a token is.
#pragma once

#include <matrixos/address.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace matrixos::gateway {

/// The instance that a token belongs to.
struct Owner {
  std::string id; ///< ULID, for good
  std::string handle;
  bool bound = false; ///< the token is good from these addresses alone
  std::vector<std::string> addresses{};

  bool mayCallFrom(const Address &peer) const;
};

/// Asks whose a token is; nothing: nobody's. What it throws means that nobody knows.
using FindOwner = std::function<std::optional<Owner>(std::string_view token)>;

/// Remembers for a second at most, so that a token that was revoked is refused within a second. It keeps hashes alone.
/// One loop's own.
class OwnerCache {
public:
  static constexpr std::int64_t kMostAgeMs = 1'000;

  explicit OwnerCache(const FindOwner &find) : find_(find) {}
  /// Null: nobody's. Throws what the question throws.
  std::shared_ptr<const Owner> find(std::string_view token, std::int64_t nowMs);

private:
  static constexpr std::size_t kMost = 4096;
  using Hash = std::array<unsigned char, 32>;
  /// The first bytes of a hash are a hash.
  struct Front {
    std::size_t operator()(const Hash &hash) const noexcept;
  };
  struct Entry {
    std::shared_ptr<const Owner> owner;
    std::int64_t atMs = 0;
  };

  const FindOwner &find_;
  std::unordered_map<Hash, Entry, Front> entries_;
};

} // namespace matrixos::gateway
