#include "ExactJson.h"

#include <matrixos/status.hpp>

#include <nlohmann/json.hpp>

#include <utility>

namespace matrixos::gateway {

namespace {

using Sax = nlohmann::json_sax<nlohmann::json>;

Error bad(const std::string &what) {
  return Error(Status::InvalidArgument, "prices: " + what, "BAD_PRICES");
}

class Builder final : public Sax {
public:
  explicit Builder(ExactJson &root) : root_(root) {}

  bool null() override { return add(ExactJson::Kind::Null); }
  bool boolean(bool) override { return add(ExactJson::Kind::Word); }
  bool number_integer(number_integer_t value) override { return add(ExactJson::Kind::Number, std::to_string(value)); }
  bool number_unsigned(number_unsigned_t value) override { return add(ExactJson::Kind::Number, std::to_string(value)); }
  bool number_float(number_float_t, const string_t &text) override { return add(ExactJson::Kind::Number, text); }
  bool string(string_t &text) override { return add(ExactJson::Kind::Text, text); }
  bool binary(binary_t &) override { return false; }
  bool start_object(std::size_t) override { return open(ExactJson::Kind::Object); }
  bool start_array(std::size_t) override { return open(ExactJson::Kind::Array); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t &text) override {
    if (open_.back()->find(text) != nullptr) throw bad("\"" + text + "\" stands twice in the same place");
    key_ = text;
    return true;
  }
  bool parse_error(std::size_t position, const std::string &, const nlohmann::detail::exception &) override {
    throw bad("the file is no JSON, see byte " + std::to_string(position));
  }

private:
  static constexpr std::size_t kMaxDepth = 16;

  bool add(ExactJson::Kind kind, std::string text = {}) {
    ExactJson &value = place();
    value.kind = kind;
    value.text = std::move(text);
    return true;
  }
  bool open(ExactJson::Kind kind) {
    if (open_.size() == kMaxDepth) throw bad("the file is nested too deeply");
    ExactJson &value = place();
    value.kind = kind;
    open_.push_back(&value);
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }
  // What is open is the last of its parent, whose members do not move until it is closed.
  ExactJson &place() {
    if (open_.empty()) return root_;
    ExactJson &value = open_.back()->members.emplace_back();
    value.name = std::exchange(key_, {});
    return value;
  }

  ExactJson &root_;
  std::vector<ExactJson *> open_;
  std::string key_;
};

} // namespace

ExactJson ExactJson::parse(std::string_view json) {
  if (json.find('\0') != std::string_view::npos) throw bad("the file holds a NUL");
  ExactJson root;
  Builder builder(root);
  nlohmann::json::sax_parse(json, &builder);
  return root;
}

const ExactJson *ExactJson::find(std::string_view wanted) const noexcept {
  if (kind != Kind::Object) return nullptr;
  for (const ExactJson &member : members) {
    if (member.name == wanted) return &member;
  }
  return nullptr;
}

} // namespace matrixos::gateway
