#pragma once

#include "Container.h"

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace matrixos::simulated {

/// Labels that a listing asks for, by number. `impossible`: nobody carries them.
struct LabelFilter {
  std::vector<std::pair<std::uint32_t, std::string>> wanted;
  bool impossible = false;

  bool matches(const PackedLabels &labels) const;
};

/// All containers: by serial in the order of creation, by name, by label. Not thread-safe. Pointers to containers
/// last until they are removed.
///
/// A label is indexed from the first listing on that asks for it: nobody pays for what nobody uses.
class ContainerTable {
public:
  Container &insert(Container container);
  void erase(Container &container);

  Container *findBySerial(std::uint64_t serial);
  Container *findByName(std::string_view name);
  std::size_t size() const noexcept { return bySerial_.size(); }
  std::size_t count(ContainerState state) const noexcept { return counts_[static_cast<std::size_t>(state)]; }
  /// The one way to change a life, so that the counts are right.
  void setLife(Container &container, const Life &life) noexcept;

  /// The shape equal to this one, made when there is none. Released with the last container of it.
  Shape &share(Shape shape);
  /// The shape with these bytes, see ShapeBytes.h; null when no container has it.
  Shape *findShape(std::string_view bytes);

  LabelNames &labelNames() noexcept { return names_; }
  const LabelNames &labelNames() const noexcept { return names_; }
  LabelFilter filter(const Labels &labels) const;
  /// One that also knows labels which nobody carries yet.
  LabelFilter filterOfFuture(const Labels &labels);
  /// Up to `most` containers that match, with serials above `after`, in order of creation.
  std::vector<const Container *> page(const LabelFilter &filter, std::uint64_t after, std::size_t most);

  const std::map<std::uint64_t, Container> &all() const noexcept { return bySerial_; }

private:
  /// Serials with one value of a label, ascending. Those of removed containers stay until they are half of it.
  struct Posting {
    std::vector<std::uint64_t> serials;
    std::size_t dead = 0;
  };
  struct Index {
    std::unordered_map<std::string, Posting> byValue;
  };
  static constexpr std::size_t kMostIndexes = 8;

  const Posting *shortest(const LabelFilter &filter);
  Index *indexOf(std::uint32_t name);
  void unindex(const Container &container);

  std::map<std::uint64_t, Container> bySerial_;
  std::unordered_map<std::string_view, Container *> byName_; ///< keys lie in the containers
  std::map<std::string, Shape, std::less<>> shapes_;
  LabelNames names_;
  std::map<std::uint32_t, Index> indexes_;
  std::array<std::size_t, kStateNames.size()> counts_{};
};

} // namespace matrixos::simulated
