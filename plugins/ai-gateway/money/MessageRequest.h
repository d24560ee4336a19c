/// What a request asks for, as far as it costs something.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace matrixos::gateway {

/// An answer of ours in place of the upstream's, in Anthropic's words.
struct Refusal {
  int status = 0;
  std::string type; ///< "invalid_request_error"
  std::string message;
};

/// Names that are allowed: "*" allows all; a name without its date ("web_search", "compact") allows every version.
class AllowList {
public:
  explicit AllowList(std::vector<std::string> names) : names_(std::move(names)) {}

  bool allows(std::string_view name) const noexcept;

private:
  std::vector<std::string> names_;
};

/// What callers may ask for.
struct RequestRules {
  /// What has no bound is refused, unless a list allows it.
  bool worstCase = true;
  /// Nothing: each that has a bound, and outside `worstCase` all others too. A list allows its names alone, with or
  /// without a bound.
  std::optional<AllowList> serverTools, betas;
};

/// A tool that runs at the upstream.
struct ServerTool {
  std::size_t index = 0; ///< in `tools`
  std::string type;
  std::optional<std::uint32_t> maxUses;
  std::optional<std::uint32_t> maxContentTokens; ///< of each result

  bool isSearch() const noexcept { return type.starts_with("web_search"); }
  bool isFetch() const noexcept { return type.starts_with("web_fetch"); }
  /// What it brings back, and how often, is limited.
  bool isBounded() const noexcept { return maxUses && (isSearch() || (isFetch() && maxContentTokens)); }
};

/// The body of `POST /v1/messages` (https://platform.claude.com/docs/en/api/messages), without a tree of it.
struct MessageRequest {
  enum class Caching : std::uint8_t { None, FiveMinutes, Hour };

  std::string model;
  std::uint32_t maxTokens = 0;
  bool stream = false;
  bool fast = false;
  Caching caching = Caching::None; ///< the longest that it asks for
  std::string geo;                 ///< `inference_geo`
  /// Of the prompt, as a bound: a third of the body's bytes, except what README.md says of images, documents and tools.
  std::uint64_t promptTokens = 0;
  std::vector<ServerTool> serverTools; ///< 64 at most
  /// Something that the rules allow may cost more than can be said before.
  bool unbounded = false;

  /// `betas`: the `anthropic-beta` fields of the request, joined with commas. A request that an upstream would
  /// understand in another way than we do is refused: one that is no JSON, no UTF-8, or says twice what it costs.
  static std::variant<MessageRequest, Refusal> parse(std::string_view body, std::string_view betas,
                                                     const RequestRules &rules);
};

} // namespace matrixos::gateway
