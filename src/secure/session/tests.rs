//! All orders in which handles and the halves of a stream can meet.

mod every_order;
