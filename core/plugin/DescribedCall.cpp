#include "plugin/DescribedCall.h"

#include <matrixos/status.hpp>

#include <utility>

namespace matrixos::plugin {

using common::argumentAt;

mos_status callDescribed(const ServiceProvider &provider, const common::ServiceFunction &function, std::size_t number,
                         void *const *args, mos_error *error) {
  if (provider.forwarder != nullptr && function.minor <= provider.minor)
    return provider.forwarder->call(provider.forwarder, static_cast<std::uint32_t>(number), args);
  const auto present = provider.table == nullptr ? nullptr : common::functionOf(provider.table, number);
  // One that was described in another process alone has no invoke.
  if (present != nullptr && function.invoke != nullptr)
    return function.invoke(present, common::selfOf(provider.table), args);
  return fail(error, Status::Unimplemented,
              "the plugin " + std::string(provider.tag->id) + " has no " + function.call + " in its table",
              "UNIMPLEMENTED");
}

namespace {

/// Its items are all it gives, and they come for as long as something happens.
bool isFollowing(const common::ServiceFunction &function) {
  const auto has = [&](char letter) { return function.find(letter) != std::string::npos; };
  return has('k') && !has('b') && !function.has(MOS_FUNCTION_LIST);
}

} // namespace

DescribedCall::DescribedCall(std::shared_ptr<ServiceProvider> provider, const ServiceConsumer &consumer,
                             const common::ServiceFunction &function, std::size_t number, void *const *args)
    : WatchedCall(std::move(provider), consumer, function.call.c_str(),
                  function.find('c') == std::string::npos ? nullptr
                                                          : argumentAt<const mos_call *>(args, function.find('c')),
                  isFollowing(function) ? Kind::Follows : Kind::Ends),
      function_(function), number_(number) {
  for (std::size_t i = 0; i < function.parameters.size(); ++i) {
    common::ServiceValue &value = values_[i];
    switch (function.parameters[i]) {
    case 's':
    case 'j':
      texts_[i] = fromAbi(argumentAt<mos_str>(args, i));
      value.text = toAbi(texts_[i]);
      break;
    case 'i':
      value.integer = argumentAt<std::int64_t>(args, i);
      break;
    case 'u':
      value.small = argumentAt<std::uint32_t>(args, i);
      break;
    case 'U':
      value.number = argumentAt<std::uint64_t>(args, i);
      break;
    case 'k':
      value.sink = argumentAt<mos_sink>(args, i);
      break;
    default: // the call and the buffer are lent anew
      break;
    }
  }
}

mos_status DescribedCall::invoke(const ServiceProvider &provider) {
  mos_error *error = lentError();
  std::array<void *, MOS_MOST_PARAMETERS + 1> args{};
  const std::string &letters = function_.parameters;
  for (std::size_t i = 0; i < letters.size(); ++i) {
    args[i] = &values_[i];
    if (letters[i] == 'c') values_[i].call = lentCall();
    if (letters[i] == 'b') values_[i].buffer = lentBuffer();
    if (letters[i] == 'k') values_[i].sink = lendSink(values_[i].sink);
  }
  args[letters.size()] = &error;
  return callDescribed(provider, function_, number_, args.data(), error);
}

} // namespace matrixos::plugin
