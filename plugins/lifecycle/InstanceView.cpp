#include "InstanceView.h"

#include <matrixos/json.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace matrixos::lifecycle {

namespace {

InstanceStatus statusOf(std::string_view word) {
  static constexpr std::array<std::pair<std::string_view, InstanceStatus>, 7> kWords{
      {{"provisioning", InstanceStatus::Provisioning},
       {"running", InstanceStatus::Running},
       {"stopped", InstanceStatus::Stopped},
       {"sleeping", InstanceStatus::Sleeping},
       {"failed", InstanceStatus::Failed},
       {"deleting", InstanceStatus::Deleting},
       {"deleted", InstanceStatus::Deleted}}};
  for (const auto &[text, status] : kWords) {
    if (text == word) return status;
  }
  return InstanceStatus::Unknown;
}

std::uint64_t unsignedOf(const json::Object &object, const std::string &key) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, json::getInt(object, key, 0)));
}

Target targetOf(const json::Object &object) {
  Target target;
  target.name = json::getString(object, "name");
  target.address = json::getString(object, "address");
  const std::int64_t port = json::getInt(object, "port", 0);
  if (port < 1 || port > 65535) throw Error(Status::InvalidArgument, "an endpoint's port is out of range");
  target.port = static_cast<std::uint16_t>(port);
  target.scope = json::findString(object, "scope").value_or("");
  target.epoch = json::findString(object, "epoch").value_or("");
  return target;
}

} // namespace

std::vector<Target> InstanceView::targets(std::string_view endpoint) const {
  std::vector<Target> found;
  std::copy_if(endpoints.begin(), endpoints.end(), std::back_inserter(found),
               [&](const Target &target) { return target.name == endpoint; });
  std::stable_partition(found.begin(), found.end(), [](const Target &target) { return target.scope == "bridge"; });
  return found;
}

InstanceView parseInstance(std::string_view text) {
  const json::Object::Ptr object = json::parseObject(text);
  InstanceView view;
  view.handle = json::getString(*object, "handle");
  view.rev = unsignedOf(*object, "rev");
  view.activitySeq = unsignedOf(*object, "activitySeq");
  view.status = statusOf(json::getString(*object, "status"));
  const std::string phase = json::findString(*object, "phase").value_or("");
  view.starting = phase == "starting" || phase == "Starting";
  view.lastError = json::findString(*object, "lastError").value_or("");
  if (const json::Array::Ptr list = json::findArray(*object, "endpoints")) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      if (const json::Object::Ptr entry = list->getObject(static_cast<unsigned>(i)))
        view.endpoints.push_back(targetOf(*entry));
    }
  }
  return view;
}

} // namespace matrixos::lifecycle
