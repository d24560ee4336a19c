/// What an answer says of the tokens that it took.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace matrixos::gateway {

/// As an upstream counts them; nothing: it does not say. `cacheCreation` is the sum of what was written to the cache,
/// `write5m` and `write1h` are the parts of it that it tells apart.
struct CountedTokens {
  /// More of a kind is taken for this; whoever said so is not believed (Usage::broken).
  static constexpr std::uint32_t kMost = 100'000'000;

  std::optional<std::uint32_t> input, cacheRead, cacheCreation, write5m, write1h, output;

  bool operator==(const CountedTokens &) const = default;
};

/// One run of a model within a call.
struct Iteration {
  enum class Kind : std::uint8_t {
    Message,  ///< part of the call's own figures
    Fallback, ///< the same, perhaps by another model
    Aside     ///< besides them: compaction, advice
  };
  Kind kind = Kind::Message;
  std::string model; ///< empty: that of the answer
  CountedTokens tokens;

  bool operator==(const Iteration &) const = default;
};

struct Usage {
  static constexpr std::size_t kMaxIterations = 64;

  std::string model; ///< empty: not said
  CountedTokens tokens;
  std::optional<std::uint32_t> webSearches;
  std::vector<Iteration> iterations;
  std::string speed, geo, serviceTier; ///< empty: not said
  std::string stopReason;
  /// Bytes that were generated and that no figure counts yet, as JSON writes them.
  std::uint64_t uncountedBytes = 0;
  /// The same of what server tools brought, and how often a search of the web was begun.
  std::uint64_t toolResultBytes = 0;
  std::uint32_t searchesBegun = 0;
  bool streamed = false;
  bool outputCounted = false; ///< tokens.output is more than what a stream begins with
  bool ended = false;         ///< the answer is whole
  bool broken = false;        ///< a part could not be read, or a figure is absurd

  bool operator==(const Usage &) const = default;
};

} // namespace matrixos::gateway
