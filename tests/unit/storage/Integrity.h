#pragma once

#include <matrixos/status.hpp>

#include <sqlite3.h>

#include <filesystem>
#include <memory>
#include <string>

namespace matrixos::storage {

/// SQLite's integrity and foreign key checks over the file, which may be in use. Throws Error(DataLoss).
inline void checkIntegrity(const std::filesystem::path &file) {
  sqlite3 *raw = nullptr;
  const int opened = sqlite3_open_v2(file.c_str(), &raw, SQLITE_OPEN_READONLY, nullptr);
  const std::unique_ptr<sqlite3, int (*)(sqlite3 *)> db(raw, &sqlite3_close);
  std::string said;
  const auto note = [](void *to, int, char **values, char **) {
    *static_cast<std::string *>(to) += values[0] != nullptr ? values[0] : "a row that points at nothing";
    return 0;
  };
  const char *const checks = "PRAGMA integrity_check(1); PRAGMA foreign_key_check;";
  const bool read = opened == SQLITE_OK && sqlite3_exec(raw, checks, note, &said, nullptr) == SQLITE_OK;
  if (!read || said != "ok") throw Error(Status::DataLoss, file.string() + " is damaged: " + said);
}

} // namespace matrixos::storage
