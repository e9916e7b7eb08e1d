from __future__ import annotations

import pytest

from hypothesis import given
from hypothesis import strategies as st

from otelope.model.kinds import infer_kind


EVENTS = """
    OrderPlaced  order_placed  order-placed  order.placed  orderPlaced  ORDER_PLACED
    OrderPlacedEvent  OrderEvent  order.placed.event  UserEvent
    com.acme.order.placed  com.acme.order.placed.v1  com.acme.OrderPlaced.v2  OrderPlacedV2
    orders/OrderPlaced  urn:message:Acme.Contracts:OrderPlaced  Acme.Contracts.OrderPlaced
    Acme.Events.OrderPlaced  acme.events.order_placed.v1_2  order.placed.1.0  OrderPlaced_v2
    payment.succeeded  payment_intent.payment_failed  invoice.paid  charge.refunded
    customer.subscription.trial_ended  checkout.session.completed  PaymentDeclined
    InvoiceSent  MessageRead  PriceSet  FundsWithdrawn  SeatTaken  TicketSold  FileFound
    ItemAddedToCart  UserLoggedIn  user.signed_up  UserSignedUp  PasswordResetRequested
    OrderShippedToCustomer  StockRanOut  AccountFrozen  DeviceWentOffline  LeaseBegun
    PaymentAccepted  HTTPRequestReceived  XMLParsed  io.k8s.pod.deleted  OrderCancelled
    CommandRejected  command.accepted  TokenStolen  OrderWasPlaced  FeedRead
    CartCheckedOut  StreamFed  AnimalFed  VehicleSpedUp  RecordUpdated  ProcessStarted
    com.github.pull_request.opened  google.cloud.storage.object.v1.finalized
    Acme.Contracts+OrderPlaced  OrderPlaced`1  OrderPlaced[[string]]  Acme.Events.OrderLate
    CreateOrderFailed  PlaceOrderRejected  ImportJobCompleted  SetRemoved  messages.read
""".split()

COMMANDS = """
    PlaceOrder  place_order  place-order  order.place  placeOrder  PLACE_ORDER
    PlaceOrderCommand  OrderCommand  order.place.command
    com.acme.order.place  com.acme.PlaceOrder.v1  PlaceOrderV2  orders/PlaceOrder
    urn:message:Acme.Contracts:PlaceOrder  Acme.Commands.PlaceOrder
    ChargeCard  SendEmail  send_invoice  CreateUser  users.create  DeleteUser  UpdatePrice
    CancelOrder  RefundPayment  ReserveStock  ReleaseStock  ShipOrder  ResetPassword
    VerifyEmail  RequestRefund  ReadMeter  SetPrice  PutItem  MakePayment  HoldFunds
    AddItemToCart  RemoveItem  StartProcess  StopProcess  BookFlight  ScheduleJob  RetryPayment
    MarkOrderAsPaid  MarkAsRead  SetOrderShipped  FlagOrderDelayed  ProceedToCheckout  FeedAnimal
    SpeedUp  CheckOut  SignUp  LogIn  Rename  close_account  tasks.import_products  EmbedDocument
    NotifyOrderShipped   HandlePaymentFailed  PublishEvents  celery.send_mail
    RegisterDevice  SubmitForm  GenerateReport  IssueInvoice  AssignDriver  DispatchCourier
    Acme.Commands.Inquiry  users.update  accounts.close  EnsureUserExists
    ComputeTotals  ConvertImage  TransferMoney  WithdrawFunds
""".split()

NEITHER = """
    Order  order  com.acme.order  Invoice  UserProfile
    Heartbeat  temperature  Seed  Bed  com.acme.charge
    v1  1.0  42  _  .  Charge  OrderLine  order.v1  OrderFeed  SensorReading
""".split()


def test_the_table_is_large_enough() -> None:
    assert len({*EVENTS, *COMMANDS, *NEITHER}) >= 60


@pytest.mark.parametrize("name", EVENTS)
def test_events(name: str) -> None:
    assert infer_kind(name) == "event"


@pytest.mark.parametrize("name", COMMANDS)
def test_commands(name: str) -> None:
    assert infer_kind(name) == "command"


@pytest.mark.parametrize("name", ["", " ", *NEITHER])
def test_neither(name: str) -> None:
    assert infer_kind(name) is None


@given(st.text(st.characters()))
def test_no_text_makes_it_raise(name: str) -> None:
    assert infer_kind(name) in ("command", "event", None)


def test_long_names_take_no_time() -> None:
    assert infer_kind("a" * 100_000 + "Placed") == "event"
    assert infer_kind("v1_" * 50_000 + "Order") is None
