#include "isolation/Arguments.h"

#include <matrixos/status.hpp>

namespace matrixos::isolation {

using common::argumentAt;

Arguments::Arguments(const common::ServiceDescription &service, std::size_t number, std::uint16_t slot,
                     void *const *args)
    : request{functionOf(service, number), slot} {
  const std::string &letters = service.functions[number].parameters;
  for (std::size_t i = 0; i < letters.size(); ++i) {
    switch (letters[i]) {
    case 'c':
      call = argumentAt<const mos_call *>(args, i);
      break;
    case 's':
    case 'j':
      request.texts.push_back(fromAbi(argumentAt<mos_str>(args, i)));
      break;
    case 'i':
      request.numbers.push_back(argumentAt<std::int64_t>(args, i));
      break;
    case 'u':
      request.numbers.push_back(argumentAt<std::uint32_t>(args, i));
      break;
    case 'U':
      request.numbers.push_back(static_cast<std::int64_t>(argumentAt<std::uint64_t>(args, i)));
      break;
    case 'k':
      request.sink = static_cast<const mos_sink *>(args[i]);
      break;
    case 't':
      request.number = argumentAt<std::uint64_t *>(args, i);
      break;
    case 'd':
      done = static_cast<const mos_completion *>(args[i]);
      break;
    default:
      request.out = argumentAt<mos_buf *>(args, i);
    }
  }
}

namespace {

template <typename Value>
const Value &taken(const std::vector<Value> &from, std::size_t most, std::size_t &next) {
  if (next >= most) refuseFrame("a call with too few arguments");
  return from[next++];
}

} // namespace

FrameArguments::FrameArguments(const common::ServiceFunction &function, const std::vector<std::string> &texts,
                               const std::vector<std::int64_t> &numbers, const mos_call *call, const Answers &answers)
    : error_(answers.error) {
  std::size_t text = 0, number = 0;
  const std::string &letters = function.parameters;
  const bool completes = function.find('d') != std::string::npos;
  if (completes && numbers.empty()) refuseFrame("a call without a number for its completion");
  const std::size_t mostNumbers = numbers.size() - (completes ? 1 : 0);
  for (std::size_t i = 0; i < letters.size(); ++i) {
    args_[i] = &values_[i];
    switch (letters[i]) {
    case 'c':
      values_[i].value.call = call;
      break;
    case 's':
    case 'j':
      values_[i].value.text = toAbi(taken(texts, texts.size(), text));
      break;
    case 'i':
    case 'U':
      values_[i].value.integer = taken(numbers, mostNumbers, number);
      break;
    case 'u':
      values_[i].value.small = static_cast<std::uint32_t>(taken(numbers, mostNumbers, number));
      break;
    case 'k':
      values_[i].value.sink = answers.sink;
      break;
    case 't':
      values_[i].number = answers.number;
      break;
    case 'd':
      values_[i].done = answers.done;
      break;
    default:
      values_[i].value.buffer = answers.out;
    }
  }
  if (text != texts.size() || number != mostNumbers) refuseFrame("a call with too many arguments");
  args_[letters.size()] = &error_;
}

} // namespace matrixos::isolation
