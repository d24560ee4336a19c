/// matrixos/managed/volume_request.hpp: the argument of volume_ensure() as a checked C++ value. Needs nlohmann/json.
#pragma once

#include <matrixos/abi/runtime.h>
#include <matrixos/directory_volumes.hpp>
#include <matrixos/managed/json_reader.hpp>

#include <string>
#include <string_view>

namespace matrixos {
inline namespace v1 {
namespace managed {

struct VolumeRequest {
  std::string name;
  std::string hostPath; ///< "": wherever the runtime keeps its volumes
  DirectoryVolumes::Known known;

  /// Throws Error(InvalidArgument, BAD_JSON or BAD_FIELD).
  static VolumeRequest parse(std::string_view json);
};

inline VolumeRequest VolumeRequest::parse(std::string_view json) {
  const Json object = parseObject(json);
  VolumeRequest request;
  request.name = textOr(object, "name", {});
  request.hostPath = textOr(object, "hostPath", {});
  request.known.exists = flagOr(object, "exists", false);
  const auto labels = textsOf(object, "labels");
  if (const auto install = labels.find(MOS_LABEL_INSTALL); install != labels.end())
    request.known.install = install->second;
  eachOf(object, "others", [&](const Json &other) {
    if (!other.is_string()) throw badField("the items of \"others\" have to be volumes");
    request.known.others.push_back(other.get<std::string>());
  });
  return request;
}

} // namespace managed
} // namespace v1
} // namespace matrixos
