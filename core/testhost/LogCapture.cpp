#include "testhost/LogCapture.h"

#include "common/SystemError.h"
#include "log/Log.h"

#include <matrixos/json.hpp>

#include <fcntl.h>

#include <cerrno>
#include <fstream>
#include <utility>

namespace matrixos::testhost {

namespace {

FileDescriptor makeFile(const std::filesystem::path &file) {
  FileDescriptor fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
  if (!fd) common::throwErrno(errno, "making " + file.string());
  return fd;
}

LogCapture::Line parseLine(const std::string &text) {
  const json::Object::Ptr object = json::parseObject(text);
  LogCapture::Line line;
  for (const auto &[key, value] : *object) {
    if (key == "level")
      line.level = static_cast<std::uint32_t>(log::parseLevel(value.convert<std::string>()));
    else if (key == "logger")
      line.logger = value.convert<std::string>();
    else if (key == "message")
      line.message = value.convert<std::string>();
    else if (key != "time")
      line.fields.emplace_back(key, value.convert<std::string>());
  }
  return line;
}

} // namespace

LogCapture::LogCapture(std::filesystem::path file) : file_(std::move(file)), fd_(makeFile(file_)) {
  log::Options options;
  options.format = log::Format::Json;
  options.level = log::Level::Debug;
  options.levels = {{"core", log::Level::Warning}};
  options.fd = fd_.get();
  log::configure(options);
}

LogCapture::~LogCapture() {
  log::configure({});
}

std::vector<LogCapture::Line> LogCapture::lines() const {
  std::vector<Line> all;
  std::ifstream in(file_);
  for (std::string text; std::getline(in, text);) {
    if (in.eof()) break; // not yet whole
    all.push_back(parseLine(text));
  }
  return all;
}

} // namespace matrixos::testhost
