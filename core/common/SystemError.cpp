#include "common/SystemError.h"

#include <matrixos/status.hpp>

#include <cerrno>
#include <map>
#include <system_error>

namespace matrixos::common {

std::string errnoText(int error) {
  return std::generic_category().message(error);
}

void throwErrno(int error, const std::string &what) {
  static const std::map<int, Status> kStatuses{
      {ENOSPC, Status::ResourceExhausted}, {EDQUOT, Status::ResourceExhausted}, {EMFILE, Status::ResourceExhausted},
      {ENFILE, Status::ResourceExhausted}, {ENOMEM, Status::ResourceExhausted}, {EACCES, Status::PermissionDenied},
      {EPERM, Status::PermissionDenied},   {ENOENT, Status::NotFound},          {EEXIST, Status::AlreadyExists},
      {EIO, Status::Unavailable},          {EROFS, Status::Unavailable}};
  const auto found = kStatuses.find(error);
  throw Error(found == kStatuses.end() ? Status::Internal : found->second, what + ": " + errnoText(error));
}

} // namespace matrixos::common
