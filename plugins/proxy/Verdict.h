#pragma once

#include <matrixos/abi/policy.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::proxy {

/// What a policy says of a request, copied.
struct Verdict {
  static constexpr std::size_t kMostFields = 32;

  std::uint32_t kind = 0; ///< MOS_VERDICT_…
  int status = 0;         ///< of the answer, where it is not allowed
  std::string message, location, principal;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string_view reason{}; ///< a stable word, where it is the proxy's own; a constant

  /// In place of one that is missing or cannot be followed.
  static Verdict failed();
  /// As decide() answers. Throws matrixos::Error or Poco::Exception for what is no verdict.
  static Verdict parse(const std::string &json);

  /// None yet; keeps its memory.
  void clear() noexcept;
  bool isAllowed() const noexcept { return kind == MOS_VERDICT_ALLOW; }
  /// Whether it can be followed; fills in what was left out.
  bool complete();
};

} // namespace matrixos::proxy
