# SPDX-License-Identifier: MIT
# The install rules: library, headers, program and its manual, licence, CMake package, pkg-config file.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(PENSTOCK_CMAKE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/penstock")

install(TARGETS penstock EXPORT penstockTargets FILE_SET HEADERS)
if(PENSTOCK_BUILD_TOOLS)
    install(TARGETS penstock_tool)
    penstock_read_list(pages tools/man/pages.txt)
    list(TRANSFORM pages PREPEND "${PROJECT_BINARY_DIR}/tools/man/")
    install(FILES ${pages} DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
endif()
install(FILES ${asio_headers} DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/penstock")
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}")

set(PENSTOCK_NEEDS_TBB OFF)
set(PENSTOCK_NEEDS_THREADS OFF)
set(PENSTOCK_REQUIRES "")
if(library_type STREQUAL "STATIC_LIBRARY")
    set(PENSTOCK_NEEDS_THREADS ON)
    if(PENSTOCK_BACKEND STREQUAL "tbb")
        set(PENSTOCK_NEEDS_TBB ON)
        set(PENSTOCK_REQUIRES tbb)
    endif()
endif()

install(EXPORT penstockTargets NAMESPACE penstock:: DESTINATION "${PENSTOCK_CMAKE_DIR}")
configure_package_config_file(tools/packaging/penstockConfig.cmake.in penstockConfig.cmake
    INSTALL_DESTINATION "${PENSTOCK_CMAKE_DIR}"
    NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(penstockConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES
    "${CMAKE_CURRENT_BINARY_DIR}/penstockConfig.cmake"
    "${CMAKE_CURRENT_BINARY_DIR}/penstockConfigVersion.cmake"
    tools/packaging/penstockAsio.cmake
    DESTINATION "${PENSTOCK_CMAKE_DIR}")

get_target_property(definitions penstock INTERFACE_COMPILE_DEFINITIONS)
if(NOT definitions)
    set(definitions "")
endif()
list(TRANSFORM definitions PREPEND " -D")
string(JOIN "" PENSTOCK_DEFINES ${definitions})
string(REGEX REPLACE "[^/]+" ".." PENSTOCK_PC_TO_PREFIX "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
set(PENSTOCK_VERSION ${PROJECT_VERSION})
set(PENSTOCK_LIBDIR ${CMAKE_INSTALL_LIBDIR})
set(PENSTOCK_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR})
configure_file(tools/packaging/penstock.pc.in penstock.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/penstock.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
