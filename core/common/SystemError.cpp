#include "common/SystemError.h"

#include <matrixos/status.hpp>

#include <cerrno>
#include <system_error>

namespace matrixos::common {

std::string errnoText(int error) {
  return std::generic_category().message(error);
}

void throwErrno(int error, const std::string &what) {
  Status status = Status::Internal;
  switch (error) {
  case ENOSPC:
  case EDQUOT:
  case EMFILE:
  case ENFILE:
  case ENOMEM:
    status = Status::ResourceExhausted;
    break;
  case EACCES:
  case EPERM:
    status = Status::PermissionDenied;
    break;
  case ENOENT:
    status = Status::NotFound;
    break;
  case EEXIST:
    status = Status::AlreadyExists;
    break;
  case EIO:
  case EROFS:
    status = Status::Unavailable;
    break;
  default:
    break;
  }
  throw Error(status, what + ": " + errnoText(error));
}

} // namespace matrixos::common
