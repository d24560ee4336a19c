#include "Spec.h"

#include <algorithm>
#include <array>

namespace matrixos::simulated {

namespace {

constexpr std::size_t kMaxLabelName = 128;
constexpr std::array<std::string_view, 4> kRestarts{"no", "always", "unless-stopped", "on-failure"};

/// A map is sorted by name already.
Labels packed(std::map<std::string, std::string> &&labels) {
  Labels out;
  out.reserve(labels.size());
  for (auto &[key, value] : labels) {
    if (key.empty() || key.size() > kMaxLabelName) {
      throw managed::badSpec("the name of the label " + shown(key) + " does not have 1 to 128 characters");
    }
    out.emplace_back(key, std::move(value));
  }
  return out;
}

} // namespace

Labels parseLabels(std::string_view text) {
  return packed(managed::parseLabels(text));
}

std::string_view Spec::label(std::string_view key) const noexcept {
  const auto found = std::lower_bound(labels.begin(), labels.end(), key,
                                      [](const auto &label, std::string_view k) { return label.first < k; });
  return found != labels.end() && found->first == key ? std::string_view(found->second) : std::string_view{};
}

Spec Spec::parse(std::string_view text) {
  InstanceSpec full = InstanceSpec::parse(text);
  Spec spec;
  spec.name = std::move(full.name);
  spec.image = std::move(full.image);
  spec.labels = packed(std::move(full.labels));
  spec.memoryBytes = full.memoryBytes;
  spec.cpus = full.cpus;
  spec.restart = static_cast<Restart>(std::find(kRestarts.begin(), kRestarts.end(), full.restart) - kRestarts.begin());
  for (InstanceSpec::Network &network : full.networks)
    spec.networks.push_back(std::move(network.name));
  for (InstanceSpec::Volume &volume : full.volumes)
    spec.volumes.push_back(std::move(volume.volume));
  spec.ports = std::move(full.ports);
  return spec;
}

} // namespace matrixos::simulated
