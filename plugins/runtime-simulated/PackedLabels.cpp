#include "PackedLabels.h"

#include "Bytes.h"

namespace matrixos::simulated {

const std::uint32_t *LabelNames::find(std::string_view name) const {
  const auto found = numbers_.find(std::string(name));
  return found == numbers_.end() ? nullptr : &found->second;
}

std::uint32_t LabelNames::number(std::string_view name) {
  const auto [at, fresh] = numbers_.try_emplace(std::string(name), static_cast<std::uint32_t>(names_.size()));
  if (fresh) names_.emplace_back(name);
  return at->second;
}

PackedLabels::PackedLabels(const Labels &labels, LabelNames &names) {
  ByteWriter writer;
  for (const auto &[name, value] : labels)
    writer.number(names.number(name)).text(value);
  bytes_ = std::move(writer).str();
  bytes_.shrink_to_fit();
}

std::string_view PackedLabels::value(std::uint32_t name) const {
  std::string_view found;
  each([&](std::uint32_t other, std::string_view value) {
    if (other == name) found = value;
  });
  return found;
}

std::uint64_t PackedLabels::takeNumber(const char *&at) noexcept {
  std::uint64_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(*at++);
    value |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
    if (byte < 0x80) return value;
  }
}

} // namespace matrixos::simulated
