# SPDX-License-Identifier: MIT
# Makes the target penstock::asio, if standalone Asio is found: for the build, and for who finds the installed package.
find_path(PENSTOCK_ASIO_INCLUDE_DIR asio/strand.hpp DOC "Where standalone Asio is; only penstock::asio needs it")
mark_as_advanced(PENSTOCK_ASIO_INCLUDE_DIR)
if(PENSTOCK_ASIO_INCLUDE_DIR AND NOT TARGET penstock::asio)
    add_library(penstock::asio INTERFACE IMPORTED GLOBAL)
    set_target_properties(penstock::asio PROPERTIES
        INTERFACE_COMPILE_DEFINITIONS ASIO_STANDALONE
        INTERFACE_INCLUDE_DIRECTORIES "${PENSTOCK_ASIO_INCLUDE_DIR}"
        INTERFACE_LINK_LIBRARIES penstock::penstock)
endif()
