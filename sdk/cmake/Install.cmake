# The installed SDK, component `sdk`: what stands here is all that a plugin is built, tested and shipped from. Everything
# is found relative to the file that asks, so the prefix can be moved.
#
#   include/matrixos/               the contract and the C++ layer
#   share/cmake/matrixos-sdk/       find_package(matrixos-sdk)
#   share/pkgconfig/                matrixos-sdk.pc, matrixos-sdk-json.pc, matrixos-sdk-testing.pc
#   share/matrixos/sdk/             README.md, docs/, templates/, examples/, schemas/
#   bin/                            the conformance program (sdk/conformance)
#   lib/matrixos/sdk/               the test host (core/testhost)
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(sdk_dir ${CMAKE_CURRENT_SOURCE_DIR})
set(sdk_share ${CMAKE_INSTALL_DATADIR}/matrixos/sdk)
# Headers only: the same on every machine, so in share/ and not in the machine's lib/.
set(sdk_cmake ${CMAKE_INSTALL_DATADIR}/cmake/matrixos-sdk)
set(MATRIXOS_TESTHOST_DIR lib/matrixos/sdk)

# The headers say which version they are.
set(sdk_base ${sdk_dir}/include/matrixos/abi/base.h)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${sdk_base})
foreach(part ABI_MAJOR HOST_MINOR)
  file(STRINGS ${sdk_base} line REGEX "^#define MOS_${part} [0-9]+$")
  string(REGEX REPLACE ".* " "" ${part} "${line}")
  if(NOT ${part} MATCHES "^[0-9]+$")
    message(FATAL_ERROR "${sdk_base} does not define MOS_${part}")
  endif()
endforeach()
set(MATRIXOS_SDK_VERSION ${ABI_MAJOR}.${HOST_MINOR}.0)

install(TARGETS matrixos-sdk EXPORT matrixos-sdk-targets)
install(EXPORT matrixos-sdk-targets NAMESPACE matrixos:: DESTINATION ${sdk_cmake} COMPONENT sdk)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/matrixos-sdk-config.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/matrixos-sdk-config.cmake
  INSTALL_DESTINATION ${sdk_cmake} PATH_VARS sdk_share CMAKE_INSTALL_BINDIR MATRIXOS_TESTHOST_DIR)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/matrixos-sdk-config-version.cmake
  VERSION ${MATRIXOS_SDK_VERSION} COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)
install(FILES
  ${CMAKE_CURRENT_BINARY_DIR}/matrixos-sdk-config.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/matrixos-sdk-config-version.cmake
  ${CMAKE_CURRENT_LIST_DIR}/MatrixosPlugin.cmake
  ${CMAKE_CURRENT_LIST_DIR}/MatrixosPluginTest.cmake
  ${CMAKE_CURRENT_LIST_DIR}/plugin.map
  DESTINATION ${sdk_cmake} COMPONENT sdk)

foreach(name matrixos-sdk matrixos-sdk-json matrixos-sdk-testing)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/${name}.pc.in ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig COMPONENT sdk)
endforeach()

install(DIRECTORY ${sdk_dir}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT sdk)
install(FILES ${sdk_dir}/README.md DESTINATION ${sdk_share} COMPONENT sdk)
foreach(folder docs examples schemas templates)
  if(EXISTS ${sdk_dir}/${folder})
    install(DIRECTORY ${sdk_dir}/${folder} DESTINATION ${sdk_share} COMPONENT sdk
      PATTERN examples/CMakeLists.txt EXCLUDE # it is part of this tree's build
      REGEX templates/.*/build$ EXCLUDE)
  endif()
endforeach()
