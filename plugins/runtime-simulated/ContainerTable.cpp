#include "ContainerTable.h"

#include "ShapeBytes.h"

#include <algorithm>

namespace matrixos::simulated {

bool LabelFilter::matches(const PackedLabels &labels) const {
  if (impossible) return false;
  std::size_t found = 0;
  labels.each([&](std::uint32_t name, std::string_view value) {
    for (const auto &[wantedName, wantedValue] : wanted)
      found += wantedName == name && wantedValue == value ? 1 : 0;
  });
  return found == wanted.size();
}

Container &ContainerTable::insert(Container container) {
  const std::uint64_t serial = container.serial;
  Container &kept = bySerial_.insert_or_assign(bySerial_.end(), serial, std::move(container))->second;
  byName_.emplace(kept.name, &kept);
  ++kept.shape->users;
  ++counts_[static_cast<std::size_t>(kept.life.state)];
  kept.labels.each([&](std::uint32_t name, std::string_view value) {
    const auto index = indexes_.find(name);
    if (index != indexes_.end()) index->second.byValue[std::string(value)].serials.push_back(serial);
  });
  return kept;
}

void ContainerTable::erase(Container &container) {
  unindex(container);
  --counts_[static_cast<std::size_t>(container.life.state)];
  byName_.erase(container.name);
  Shape &shape = *container.shape;
  bySerial_.erase(container.serial);
  if (--shape.users == 0) shapes_.erase(encodeShape(shape));
}

void ContainerTable::unindex(const Container &container) {
  container.labels.each([&](std::uint32_t name, std::string_view value) {
    const auto index = indexes_.find(name);
    if (index == indexes_.end()) return;
    const auto at = index->second.byValue.find(std::string(value));
    if (at == index->second.byValue.end()) return;
    Posting &posting = at->second;
    if (++posting.dead == posting.serials.size()) {
      index->second.byValue.erase(at);
    } else if (posting.dead > posting.serials.size() / 2) {
      auto &serials = posting.serials;
      serials.erase(std::remove_if(serials.begin(), serials.end(),
                                   [&](std::uint64_t serial) {
                                     return serial == container.serial || bySerial_.count(serial) == 0;
                                   }),
                    serials.end());
      posting.dead = 0;
    }
  });
}

Container *ContainerTable::findBySerial(std::uint64_t serial) {
  const auto found = bySerial_.find(serial);
  return found == bySerial_.end() ? nullptr : &found->second;
}

Container *ContainerTable::findByName(std::string_view name) {
  const auto found = byName_.find(name);
  return found == byName_.end() ? nullptr : found->second;
}

void ContainerTable::setLife(Container &container, const Life &life) noexcept {
  --counts_[static_cast<std::size_t>(container.life.state)];
  container.life = life;
  ++counts_[static_cast<std::size_t>(life.state)];
}

Shape &ContainerTable::share(Shape shape) {
  return shapes_.try_emplace(encodeShape(shape), std::move(shape)).first->second;
}

Shape *ContainerTable::findShape(std::string_view bytes) {
  const auto found = shapes_.find(bytes);
  return found == shapes_.end() ? nullptr : &found->second;
}

LabelFilter ContainerTable::filter(const Labels &labels) const {
  LabelFilter filter;
  for (const auto &[name, value] : labels) {
    const std::uint32_t *number = names_.find(name);
    if (number == nullptr) return {{}, true};
    filter.wanted.emplace_back(*number, value);
  }
  return filter;
}

LabelFilter ContainerTable::filterOfFuture(const Labels &labels) {
  LabelFilter filter;
  for (const auto &[name, value] : labels)
    filter.wanted.emplace_back(names_.number(name), value);
  return filter;
}

ContainerTable::Index *ContainerTable::indexOf(std::uint32_t name) {
  const auto found = indexes_.find(name);
  if (found != indexes_.end()) return &found->second;
  if (indexes_.size() == kMostIndexes) return nullptr;
  Index &index = indexes_[name];
  for (const auto &[serial, container] : bySerial_) {
    container.labels.each([&, key = serial](std::uint32_t other, std::string_view value) {
      if (other == name) index.byValue[std::string(value)].serials.push_back(key);
    });
  }
  return &index;
}

/// The index entry with the fewest containers among those that the filter asks for; null: walk all.
const ContainerTable::Posting *ContainerTable::shortest(const LabelFilter &filter) {
  static const Posting kNone;
  const Posting *best = nullptr;
  for (const auto &[name, value] : filter.wanted) {
    Index *index = indexOf(name);
    if (index == nullptr) continue;
    const auto found = index->byValue.find(value);
    if (found == index->byValue.end()) return &kNone;
    if (best == nullptr || found->second.serials.size() < best->serials.size()) best = &found->second;
  }
  return best;
}

std::vector<const Container *> ContainerTable::page(const LabelFilter &filter, std::uint64_t after, std::size_t most) {
  std::vector<const Container *> found;
  if (filter.impossible) return found;
  const Posting *posting = filter.wanted.empty() ? nullptr : shortest(filter);
  // An index that holds nearly all of them is slower than walking all of them.
  if (posting == nullptr || posting->serials.size() > bySerial_.size() / 2 + kMostIndexes) {
    for (auto at = bySerial_.upper_bound(after); at != bySerial_.end() && found.size() < most; ++at) {
      if (filter.matches(at->second.labels)) found.push_back(&at->second);
    }
    return found;
  }
  auto at = std::upper_bound(posting->serials.begin(), posting->serials.end(), after);
  for (; at != posting->serials.end() && found.size() < most; ++at) {
    const Container *container = findBySerial(*at);
    if (container != nullptr && filter.matches(container->labels)) found.push_back(container);
  }
  return found;
}

} // namespace matrixos::simulated
