#pragma once

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

namespace bench {

/// Finds the end of one answer; keeps nothing of it.
class AnswerReader {
public:
  enum class State { Head, Length, Chunked, Done, Failed };

  void reset() {
    state_ = State::Head;
    head_.clear();
  }
  State state() const { return state_; }

  void feed(std::string_view bytes) {
    while (!bytes.empty() && state_ != State::Done && state_ != State::Failed) {
      if (state_ == State::Head)
        feedHead(bytes);
      else if (state_ == State::Length)
        skip(bytes);
      else
        feedChunk(bytes);
    }
    if (!bytes.empty()) state_ = State::Failed; // nothing was asked for behind the answer
  }

private:
  void feedHead(std::string_view &bytes) {
    const std::size_t before = head_.size();
    head_ += bytes;
    const std::size_t end = head_.find("\r\n\r\n");
    if (end == std::string::npos) return bytes.remove_prefix(bytes.size());
    bytes.remove_prefix(end + 4 - before);
    head_.resize(end + 2);
    std::transform(head_.begin(), head_.end(), head_.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
    const std::size_t length = head_.find("\r\ncontent-length:");
    if (head_.compare(0, 13, "http/1.1 200 ") != 0) {
      state_ = State::Failed;
    } else if (length != std::string::npos) {
      left_ = std::strtoul(head_.c_str() + length + 17, nullptr, 10);
      state_ = left_ == 0 ? State::Done : State::Length;
    } else {
      state_ = head_.find("\r\ntransfer-encoding: chunked") != std::string::npos ? State::Chunked : State::Failed;
      left_ = 0;
      line_.clear();
      last_ = false;
    }
  }

  void skip(std::string_view &bytes) {
    const std::size_t taken = std::min(left_, bytes.size());
    bytes.remove_prefix(taken);
    left_ -= taken;
    if (left_ == 0) state_ = State::Done;
  }

  void feedChunk(std::string_view &bytes) {
    if (left_ != 0) {
      const std::size_t taken = std::min(left_, bytes.size());
      bytes.remove_prefix(taken);
      left_ -= taken;
      return;
    }
    line_ += bytes.front();
    bytes.remove_prefix(1);
    if (line_.size() < 2 || line_.back() != '\n') return;
    if (last_) {
      state_ = State::Done;
    } else {
      left_ = std::strtoul(line_.c_str(), nullptr, 16);
      last_ = left_ == 0;
      if (!last_) left_ += 2; // the line end behind the chunk
    }
    line_.clear();
  }

  State state_ = State::Head;
  std::string head_, line_;
  std::size_t left_ = 0;
  bool last_ = false;
};

} // namespace bench
